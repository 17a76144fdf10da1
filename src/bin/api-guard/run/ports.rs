//! Whether the ports that Envoy is to listen on are free. Envoy itself would share one with another Envoy.

use std::io::{Error, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, TcpListener};

use crate::outcome::Failure;

/// Says of a port that cannot be had by which option another one is chosen.
pub(super) fn check(port: u16, admin_port: u16) -> Result<(), Failure> {
    if port == admin_port {
        return Err(Failure::usage(format!("--port and --admin-port are both {port}; write two")));
    }
    for (option, address, port) in
        [("--port", Ipv4Addr::UNSPECIFIED, port), ("--admin-port", Ipv4Addr::LOCALHOST, admin_port)]
    {
        if let Err(error) = TcpListener::bind((IpAddr::V4(address), port)) {
            return Err(Failure::failed(taken(port, option, &error)));
        }
    }
    Ok(())
}

/// What is told of a port that cannot be had. `option`: by which another one is chosen.
pub(crate) fn taken(port: u16, option: &str, error: &Error) -> String {
    let kind = error.kind();
    let problem = if kind == ErrorKind::AddrInUse {
        "is in use".to_owned()
    } else if kind == ErrorKind::PermissionDenied {
        "is for the system's own services".to_owned()
    } else {
        format!("cannot be used: {error}")
    };
    format!("port {port} {problem}: choose another one with {option}")
}
