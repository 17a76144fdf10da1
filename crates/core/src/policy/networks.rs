//! Which addresses are meant? Those that may use a route, and those that a limit excepts.

use std::net::IpAddr;

/// The addresses that have the same leading bits (RFC 4632, RFC 4291 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    /// At most the bits of the address.
    bits: u8,
}

/// Why a text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NetworkProblem {
    /// Neither an address nor an address, `/` and a number of bits.
    NotANetwork,
    /// Bits behind the prefix are set. Holds the network without them.
    HostBits(Network),
    /// IPv4 addresses in IPv6 form, which are compared as IPv4.
    Mapped,
}

/// The networks of a route.
#[derive(Debug, Default)]
pub(crate) struct Networks {
    /// If not empty, only these may use the route.
    pub(crate) allowed: Vec<Network>,
    /// These may not, even if they are allowed.
    pub(crate) denied: Vec<Network>,
}

impl Networks {
    /// Whether a client with this address, canonical (no IPv4 in IPv6 form), may use the route.
    pub(crate) fn admit(&self, address: Option<IpAddr>) -> bool {
        !Network::any_has(&self.denied, address)
            && (self.allowed.is_empty() || Network::any_has(&self.allowed, address))
    }

    /// Whether there is nothing to judge.
    pub(crate) fn is_empty(&self) -> bool {
        self.allowed.is_empty() && self.denied.is_empty()
    }
}

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/32`, or a single address.
    pub(crate) fn parse(text: &str) -> Result<Self, NetworkProblem> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkProblem::NotANetwork)?;
        let most: u8 = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().ok().filter(|bits| *bits <= most).ok_or(NetworkProblem::NotANetwork)?
            }
            Some(_) => return Err(NetworkProblem::NotANetwork),
        };
        if address.to_canonical() != address {
            return Err(NetworkProblem::Mapped);
        }
        let network = Self { address: cut(address, bits), bits };
        if network.address == address { Ok(network) } else { Err(NetworkProblem::HostBits(network)) }
    }

    /// Whether a client with this address, canonical (no IPv4 in IPv6 form), is in one of the networks. Without an
    /// address nobody is.
    pub(crate) fn any_has(networks: &[Self], address: Option<IpAddr>) -> bool {
        address.is_some_and(|address| networks.iter().any(|network| network.contains(address)))
    }

    fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && cut(address, self.bits) == self.address
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// The address with only its leading bits.
pub(crate) fn cut(address: IpAddr, bits: u8) -> IpAddr {
    let bits = u32::from(bits);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|text| Network::parse(text).unwrap()).collect()
    }

    #[test]
    fn a_network_is_an_address_and_a_number_of_bits() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "::/0", "192.0.2.7/32", "2001:db8::/32", "::1/128"] {
            assert_eq!(Network::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Network::parse("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(Network::parse("::1").unwrap().to_string(), "::1/128");
        for text in [
            "",
            "10",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "a/8",
            "10.0.0.0/-1",
        ] {
            assert_eq!(Network::parse(text), Err(NetworkProblem::NotANetwork), "{text}");
        }
        for (text, without) in [("10.0.0.1/8", "10.0.0.0/8"), ("2001:db8::1/64", "2001:db8::/64")] {
            let without = Network::parse(without).unwrap();
            assert_eq!(Network::parse(text), Err(NetworkProblem::HostBits(without)), "{text}");
        }
        assert_eq!(Network::parse("::ffff:10.0.0.0/104"), Err(NetworkProblem::Mapped));
    }

    #[test]
    fn an_address_in_both_lists_is_refused() {
        let of = |allowed: &[&str], denied: &[&str]| Networks {
            allowed: networks(allowed),
            denied: networks(denied),
        };
        let admit = |networks: &Networks, address: &str| networks.admit(address.parse().ok());
        let both = of(&["10.0.0.0/8", "2001:db8::/32"], &["10.1.0.0/16", "2001:db8:1::/48"]);
        for (address, admitted) in [
            ("10.0.0.1", true),
            ("10.255.255.255", true),
            ("10.1.0.0", false),
            ("10.1.255.255", false),
            ("10.2.0.0", true),
            ("11.0.0.0", false),
            ("9.255.255.255", false),
            ("2001:db8::1", true),
            ("2001:db8:1::1", false),
            ("2001:db9::", false),
            ("", false),
        ] {
            assert_eq!(admit(&both, address), admitted, "{address}");
        }
        let denying = of(&[], &["10.0.0.0/8"]);
        assert!(admit(&denying, "11.0.0.0") && admit(&denying, "") && !admit(&denying, "10.0.0.0"));
        assert!(admit(&of(&["0.0.0.0/0"], &[]), "1.2.3.4") && !admit(&of(&["0.0.0.0/0"], &[]), "::1"));
    }
}
