//! What is the client's address, as limits count it and the log shows it?

use std::net::{IpAddr, SocketAddr};

use crate::host::Host;
use crate::policy::{AddressFrom, ClientIp, cut};
use crate::request::Request;

/// The client's whole address. An IPv4-mapped IPv6 address counts as the IPv4 address.
pub(super) fn whole_address(from: AddressFrom, request: &Request<'_>, host: &impl Host) -> Option<IpAddr> {
    let external = match from {
        AddressFrom::SourceAddress => None,
        // Envoy leaves an internal client's own copy of the header in place.
        AddressFrom::ExternalAddress if request.is_internal => None,
        AddressFrom::ExternalAddress => request.external_address.and_then(parse_address),
    };
    let address = external.or_else(|| parse_address(&host.peer_address()?))?;
    Some(address.to_canonical())
}

/// The address as limits count it. Of an IPv6 address only the configured prefix counts, because one customer holds all
/// addresses under it.
pub(super) fn counted_address(rule: ClientIp, address: IpAddr) -> IpAddr {
    if address.is_ipv6() { cut(address, rule.ipv6_prefix) } else { address }
}

/// Parses an address with a port (the peer's) or without one (Envoy's header).
fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    text.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| text.parse()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_port() {
        let parse = |text: &str| parse_address(text.as_bytes()).map(|address| address.to_string());
        assert_eq!(parse("127.0.0.1:47302").as_deref(), Some("127.0.0.1"));
        assert_eq!(parse("[2001:db8::1]:0").as_deref(), Some("2001:db8::1"));
        assert_eq!(parse("2001:db8::1").as_deref(), Some("2001:db8::1"));
        assert_eq!(parse("255.0.10.1").as_deref(), Some("255.0.10.1"));
        // One digit, then the port: the colon is no digit.
        assert_eq!(parse("10.0.0.1:9").as_deref(), Some("10.0.0.1"));
        assert_eq!(parse("10.0.0.9:65535").as_deref(), Some("10.0.0.9"));
        for bad in [
            "",
            "@/tmp/socket",
            "127.0.0.1,10.0.0.1",
            "localhost",
            "256.0.0.1",
            "1.2.3",
            "1.2.3.4.5",
            "01.2.3.4",
            "1.2.3.4:",
            "1.2.3.4:x",
            "1.2.3.4:123456",
            "1.2.3.4/5",
            "A.B.C.D",
            ":.:.:.:",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
