//! Where the guarded API listens: `HOST:PORT`, or a URL without a path.

use std::net::IpAddr;
use std::path::Path;

use crate::check::is_loopback_host;
use crate::outcome::Failure;

/// The API to guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upstream {
    /// A name or an address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Whether it is spoken to over TLS.
    pub(crate) tls: bool,
}

const FORM: &str = "write http://HOST:PORT, https://HOST or HOST:PORT, such as http://localhost:3000";
const NO_PATH: &str = "only scheme, host and port can be told: clients name the path; write http://HOST:PORT";

impl Upstream {
    /// Reads what a person typed.
    ///
    /// # Errors
    ///
    /// What to write instead.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (tls, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Some(false), rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Some(true), rest),
            Some(_) => return Err(FORM.to_owned()),
            None => (None, text),
        };
        let rest = if tls.is_some() { rest.strip_suffix('/').unwrap_or(rest) } else { rest };
        if tls.is_some() && rest.contains(['/', '?', '#', '@']) {
            return Err(NO_PATH.to_owned());
        }
        let (host, port) = split_authority(rest).ok_or(FORM)?;
        let port = match (port, tls) {
            (Some(port), _) => port.parse().ok().filter(|port| *port > 0).ok_or(FORM)?,
            (None, Some(tls)) => {
                if tls {
                    443
                } else {
                    80
                }
            }
            (None, None) => return Err(FORM.to_owned()),
        };
        Ok(Self { host: host.to_owned(), port, tls: tls == Some(true) })
    }

    /// The host as an address, if it is none that has to be looked up.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Refuses an upstream where Envoy itself listens: it would ask itself without end.
    ///
    /// # Errors
    ///
    /// What to write instead.
    pub(crate) fn differs_from(&self, own: impl IntoIterator<Item = (IpAddr, u16)>) -> Result<(), Failure> {
        if own.into_iter().any(|(address, port)| port == self.port && self.is_at(address)) {
            return Err(Failure::usage(format!(
                "--upstream {:?}: this is Envoy itself; write where the API is, or another port by --port or --admin-port",
                self.url()
            )));
        }
        Ok(())
    }

    /// Whether its host leads to a listener of this machine at an address. A name but `localhost` is not looked up.
    fn is_at(&self, listener: IpAddr) -> bool {
        let listener = listener.to_canonical();
        match self.address().map(|address| address.to_canonical()) {
            // Whoever connects to no address in particular reaches this machine.
            Some(address) if address.is_unspecified() => listener.is_unspecified() || listener.is_loopback(),
            Some(address) => address == listener || (listener.is_unspecified() && address.is_loopback()),
            None => self.is_loopback() && (listener.is_unspecified() || listener.is_loopback()),
        }
    }

    /// Whether nothing of it leaves the machine.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback_host(&self.host)
    }

    /// The URL, as people write it.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{scheme}://{host}:{}", self.port)
    }

    /// The value of the header `host` with which the API is asked over TLS.
    pub(crate) fn authority(&self) -> String {
        match (self.url().split_once("://"), self.port) {
            (Some((_, authority)), 443) => authority.trim_end_matches(":443").to_owned(),
            (Some((_, authority)), _) => authority.to_owned(),
            (None, _) => self.host.clone(),
        }
    }
}

/// The host, a name or an address without brackets, and the port, which may be anything; `None` if it is no host.
pub(crate) fn split_authority(text: &str) -> Option<(&str, Option<&str>)> {
    let (host, port) = split_port(text);
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let plain = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
    match bracketed {
        Some(host) if host.parse::<std::net::Ipv6Addr>().is_ok() => Some((host, port)),
        None if !host.is_empty() && host.chars().all(plain) => Some((host, port)),
        Some(_) | None => None,
    }
}

fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        // The last colon of a bare IPv6 address separates no port.
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        Some(_) | None => (text, None),
    }
}

/// Where systems keep the certificates that they trust.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The file of the certificates that this system trusts; Debian's where there is none.
pub(crate) fn system_trust() -> String {
    let named = std::env::var("SSL_CERT_FILE").ok().filter(|path| Path::new(path).is_file());
    let found = BUNDLES.into_iter().find(|path| Path::new(path).is_file());
    named.unwrap_or_else(|| found.unwrap_or("/etc/ssl/certs/ca-certificates.crt").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, u16, bool) {
        let Upstream { host, port, tls } = Upstream::parse(text).unwrap();
        (host, port, tls)
    }

    #[test]
    fn an_upstream_is_a_url_or_a_host_and_a_port() {
        for (text, host, port, tls) in [
            ("orders.internal:8080", "orders.internal", 8080, false),
            ("[::1]:80", "::1", 80, false),
            ("http://localhost:3000", "localhost", 3000, false),
            ("HTTP://localhost:3000/", "localhost", 3000, false),
            ("http://localhost", "localhost", 80, false),
            ("https://api.example.com", "api.example.com", 443, true),
            ("https://[::1]:8443/", "::1", 8443, true),
        ] {
            assert_eq!(read(text), (host.to_owned(), port, tls), "{text}");
        }
    }

    #[test]
    fn what_is_no_upstream_is_told_with_what_to_write() {
        for bad in [
            "orders",
            ":80",
            "a:0",
            "a:70000",
            "a b:80",
            "::1",
            "[::1]",
            "[a]:80",
            "ftp://a:1",
            "http://",
            "http://:80",
            "http://a:1/v1",
            "http://a:1?x",
            "http://me@a:1",
            "https://a/#x",
            "",
        ] {
            assert!(Upstream::parse(bad).unwrap_err().contains("write http://"), "{bad}");
        }
    }

    #[test]
    fn an_upstream_is_envoy_itself_where_envoy_listens() {
        let is_own = |text: &str, address: &str| {
            Upstream::parse(text).unwrap().differs_from([(address.parse().unwrap(), 8080)]).is_err()
        };
        for (text, address) in [
            ("127.0.0.1:8080", "0.0.0.0"),
            ("127.0.0.2:8080", "0.0.0.0"),
            ("[::1]:8080", "::"),
            ("LOCALHOST:8080", "0.0.0.0"),
            ("localhost:8080", "127.0.0.1"),
            ("localhost:8080", "::1"),
            ("10.0.0.5:8080", "10.0.0.5"),
            ("[::ffff:10.0.0.5]:8080", "10.0.0.5"),
            ("[2001:db8:0::1]:8080", "2001:db8::1"),
            ("0.0.0.0:8080", "127.0.0.1"),
            ("[::]:8080", "0.0.0.0"),
        ] {
            assert!(is_own(text, address), "{text} {address}");
        }
        for (text, address) in [
            ("127.0.0.1:8081", "0.0.0.0"),
            ("127.0.0.1:8080", "192.0.2.5"),
            ("localhost:8080", "192.0.2.5"),
            ("127.0.0.2:8080", "127.0.0.1"),
            ("10.0.0.5:8080", "0.0.0.0"),
            ("10.0.0.5:8080", "10.0.0.6"),
            ("0.0.0.0:8080", "10.0.0.5"),
            ("orders:8080", "127.0.0.1"),
        ] {
            assert!(!is_own(text, address), "{text} {address}");
        }
    }

    #[test]
    fn an_authority_leaves_the_usual_port_out() {
        let authority = |text| Upstream::parse(text).unwrap().authority();
        assert_eq!(authority("https://api.example.com"), "api.example.com");
        assert_eq!(authority("https://[::1]:8443"), "[::1]:8443");
    }
}
