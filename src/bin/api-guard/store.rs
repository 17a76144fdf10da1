//! Where the store of a fleet listens: `redis://HOST[:PORT]`, `rediss://HOST[:PORT]` over TLS, or `HOST:PORT`.

use crate::upstream::{Upstream, split_authority};

const PORT: u16 = 6379;
const FORM: &str =
    "write redis://HOST:PORT, rediss://HOST:PORT (TLS) or HOST:PORT, such as redis://redis.internal:6379";
const NO_LOGIN: &str = "no user or password may stand here, where others see it: put the password into an environment variable, and name that";
/// Where a configuration names what may not stand in a URL.
pub(crate) const LOGIN_IN_FLEET: &str = "in fleet.password, and the user in fleet.username";
/// Where the options of a command do.
pub(crate) const LOGIN_IN_OPTIONS: &str = "with --password-env, and the user with --username";
const NO_DATABASE: &str = "api-guard uses database 0, as Redis Cluster and many rented stores have no other; leave the path \
                           out, and write another fleet.prefix to keep fleets apart";

/// Reads what a person typed. `login`: where the user and the password of this store are named.
///
/// # Errors
///
/// What to write instead.
pub(crate) fn parse(text: &str, login: &str) -> Result<Upstream, String> {
    let (tls, rest) = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("redis") => (Some(false), rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("rediss") => (Some(true), rest),
        Some(_) => return Err(FORM.to_owned()),
        None => (None, text),
    };
    // A password may hold any letter, so nothing before the sign is looked at.
    if rest.contains('@') {
        return Err(format!("{NO_LOGIN} {login}"));
    }
    let (rest, options) = rest.split_once('?').map_or((rest, None), |(rest, options)| (rest, Some(options)));
    if let Some(options) = options {
        let names_login = options.contains("password") || options.contains("user");
        return Err(if names_login { format!("{NO_LOGIN} {login}") } else { FORM.to_owned() });
    }
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    if tls.is_none() && rest.contains('/') {
        return Err(FORM.to_owned());
    }
    if !matches!(database, "" | "0") {
        return Err(
            if database.bytes().all(|byte| byte.is_ascii_digit()) { NO_DATABASE } else { FORM }.to_owned()
        );
    }
    let (host, port) = split_authority(authority).ok_or(FORM)?;
    let port = match (port, tls) {
        (Some(port), _) => port.parse().ok().filter(|port| *port > 0).ok_or(FORM)?,
        (None, Some(_)) => PORT,
        (None, None) => return Err(FORM.to_owned()),
    };
    Ok(Upstream { host: host.to_owned(), port, tls: tls == Some(true) })
}

/// The URL, as people write it.
pub(crate) fn url(store: &Upstream) -> String {
    let scheme = if store.tls { "rediss" } else { "redis" };
    let host = if store.host.contains(':') { format!("[{}]", store.host) } else { store.host.clone() };
    format!("{scheme}://{host}:{}", store.port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_a_url_or_a_host_and_a_port() {
        for (text, read) in [
            ("redis.internal:6380", "redis://redis.internal:6380"),
            ("redis://redis", "redis://redis:6379"),
            ("REDIS://127.0.0.1:7/", "redis://127.0.0.1:7"),
            ("redis://[::1]/0", "redis://[::1]:6379"),
            ("rediss://cache.example.com", "rediss://cache.example.com:6379"),
            ("rediss://cache.example.com:6380/0", "rediss://cache.example.com:6380"),
        ] {
            assert_eq!(parse(text, LOGIN_IN_FLEET).map(|store| url(&store)), Ok(read.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_password_in_the_url_is_refused_with_what_names_a_variable_and_is_not_repeated() {
        for text in [
            "redis://:hunter2@redis:6379",
            "redis://guard:hunter2@redis",
            "redis://guard@redis",
            "rediss://guard:hun/ter2@redis:6379/0",
            "guard:hunter2@redis:6379",
            "redis://redis?password=hunter2",
        ] {
            for (login, name) in [(LOGIN_IN_FLEET, "fleet.password"), (LOGIN_IN_OPTIONS, "--password-env")] {
                let told = parse(text, login).unwrap_err();
                assert!(told.contains(name) && !told.contains("hunter2"), "{text}: {told}");
            }
        }
    }

    #[test]
    fn what_is_no_store_is_told_with_what_to_write() {
        for text in [
            "",
            "redis",
            "redis:",
            ":6379",
            "redis://",
            "redis://:6379",
            "http://redis:6379",
            "redis:0",
            "redis:70000",
            "redis://a/x",
            "redis:6379/0",
            "redis://a?db=1",
            "redis+unix:///tmp/s",
            "::1",
            "redis://a b",
        ] {
            assert!(parse(text, LOGIN_IN_FLEET).unwrap_err().contains("write redis://"), "{text}");
        }
        assert!(parse("redis://redis/1", LOGIN_IN_FLEET).unwrap_err().contains("fleet.prefix"));
    }
}
