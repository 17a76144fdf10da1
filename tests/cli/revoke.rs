//! `api-guard revoke`, with a real store, and with what an Envoy of the fleet makes of it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{SystemTime, UNIX_EPOCH};

use api_guard_core::code::Code;
use api_guard_core::time::UnixNanos;
use api_guard_testkit::{Decided, Redis, SECRET, free_ports, lay_over, token};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use crate::command::{Run, command, run};
use crate::files::File;

const FLEET_SECRET: &str = "the-secret-of-a-fleet-that-is-long-enough";
const REVOKED: Decided = Decided::Refused(Code::TokenRevoked);

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn revoke_at(redis: &str, more: &[&str], environment: &[(&str, &str)]) -> Run {
    let arguments = ["revoke", "--redis", redis, "--fleet-secret-env", "FLEET_SECRET"];
    let mut command = command();
    command.args(arguments).args(more).env("FLEET_SECRET", FLEET_SECRET).envs(environment.iter().copied());
    run(&mut command)
}

fn revoke(store: &Redis, more: &[&str]) -> Run {
    revoke_at(&format!("127.0.0.1:{}", store.port), more, &[])
}

/// What an Envoy of the fleet decides, whose section `tokens` has these fields too.
fn judge(store: &Redis, more: &Value, token: &str) -> Decided {
    let mut configuration = json!({
        "tokens": { "keys": [{ "secret": { "value": SECRET } }] },
        "fleet": { "cluster": "store", "secret": { "value": FLEET_SECRET } },
        "revocation": { "fleet": {} },
    });
    lay_over(&mut configuration["tokens"], more);
    store.decided(&configuration, token, UnixNanos::from_seconds(now()))
}

fn claims(more: Value) -> Value {
    let mut claims = json!({ "sub": "user-7", "iat": now() - 60, "exp": now() + 3600 });
    lay_over(&mut claims, &more);
    claims
}

#[test]
fn a_token_that_is_revoked_is_refused_by_every_envoy_of_the_fleet_and_no_other_is() {
    let Some(store) = Redis::start(&[]) else { return };
    for (of, more, options) in [
        (json!({ "jti": "a" }), json!({}), &[][..]),
        (json!({ "jti": "a", "iss": "https://a/" }), json!({}), &[]),
        (json!({ "jti": "" }), json!({}), &[]),
        (json!({}), json!({}), &[]),
        (json!({ "sub": 1234, "jti": "b" }), json!({}), &[]),
        (
            json!({ "jti": "c", "who": { "id": "x" } }),
            json!({ "subject_claim": "who.id" }),
            &["--subject-claim", "who.id"],
        ),
    ] {
        store.command(&["FLUSHALL"]);
        let (mine, other) = (
            token(&claims(of.clone())),
            token(&claims(json!({ "sub": "user-8", "jti": "z", "who": { "id": "y" } }))),
        );
        assert_eq!(judge(&store, &more, &mine), Decided::Allowed, "{of}");
        let run = revoke(&store, &[&["--token", &mine], options].concat());
        assert!(run.code == 0 && run.out.starts_with("revoked: the token"), "{run:?}");
        assert!(!run.out.contains(&mine) && run.err.is_empty(), "{run:?}");
        let decided = [&mine, &other].map(|token| judge(&store, &more, token));
        assert_eq!(decided, [REVOKED, Decided::Allowed], "{of}");
    }
    let stranger = token(&claims(json!({ "jti": "s" })));
    assert_eq!(revoke(&store, &["--token", &stranger, "--prefix", "other"]).code, 0);
    assert_eq!(judge(&store, &json!({}), &stranger), Decided::Allowed, "another prefix is another fleet");
}

#[test]
fn a_jti_and_a_subject_are_revoked_up_to_their_moments() {
    let Some(store) = Redis::start(&[]) else { return };
    let mine = token(&claims(json!({ "jti": "a", "iss": "https://a/" })));
    let later = token(&claims(json!({ "jti": "b", "iss": "https://a/", "iat": now() - 10 })));
    let elsewhere = token(&claims(json!({ "jti": "c", "iss": "https://b/" })));
    let refused = || [&mine, &later, &elsewhere].map(|token| judge(&store, &json!({}), token) == REVOKED);
    let end = (now() + 3600).to_string();
    let run = revoke(&store, &["--jti", "a", "--expires-at", &end, "--json"]);
    let told = run.json();
    assert_eq!(told["revoked"], true);
    assert_eq!(told["expires_at"].as_u64(), end.parse().ok());
    assert_eq!(told["kept_until"].as_u64(), Some(end.parse::<u64>().unwrap() + 86_400));
    assert_eq!(refused(), [true, false, false]);
    let exact = revoke(&store, &["--jti", "k", "--expires-at", &end, "--clock-skew", "0", "--json"]);
    assert_eq!(exact.json()["kept_until"], exact.json()["expires_at"]);

    store.command(&["FLUSHALL"]);
    let before = (now() - 30).to_string();
    let run =
        revoke(&store, &["--sub", "user-7", "--iss", "https://a/", "--issued-before", &before, "--json"]);
    assert_eq!(
        run.json(),
        json!({ "revoked": true, "what": "subject", "expires_at": null, "kept_until": null })
    );
    assert_eq!(refused(), [true, false, false]);
    let run = revoke(&store, &["--sub", "user-7", "--issued-before", "2099-01-01T00:00:00Z"]);
    assert!(run.line().contains("user-7") && run.line().contains("for good"), "{run:?}");
    assert_eq!(refused(), [true, true, true]);
}

#[test]
fn what_has_ended_needs_no_entry() {
    let Some(store) = Redis::start(&[]) else { return };
    let old = token(&claims(json!({ "jti": "a", "exp": now() - 10 })));
    let run = revoke(&store, &["--token", &old, "--clock-skew", "0"]);
    assert!(run.line().contains("ended anyway"), "{run:?}");
    assert_eq!(store.command(&["DBSIZE"]), ":0\r\n");
    // An Envoy may still accept it, as far as the command knows.
    assert_eq!(revoke(&store, &["--token", &old]).code, 0);
    assert_ne!(store.command(&["DBSIZE"]), ":0\r\n");
}

#[test]
fn each_refusal_of_the_store_is_said_in_words() {
    const WHAT: [&str; 4] = ["--jti", "a", "--expires-at", "2099-01-01T00:00:00Z"];
    let fails = |run: Run, word: &str| {
        assert!(run.code == 1 && run.out.is_empty() && run.err.contains(word), "{word}: {run:?}");
        assert!(run.err.contains("nothing is revoked") && !run.err.contains("hunter"), "{run:?}");
    };
    let Some(store) = Redis::start(&["--requirepass", "hunter2"]) else { return };
    let url = format!("redis://127.0.0.1:{}", store.port);
    fails(revoke(&store, &WHAT), "--password-env");
    fails(revoke_at(&url, &WHAT, &[("REDISCLI_AUTH", "hunter3")]), "refuses the password");
    let by_name = [&WHAT[..], &["--password-env", "REDIS_PASSWORD"]].concat();
    fails(revoke_at(&url, &by_name, &[("REDIS_PASSWORD", "hunter3")]), "refuses the password");
    assert_eq!(revoke_at(&url, &by_name, &[("REDIS_PASSWORD", "hunter2")]).code, 0);
    assert_eq!(revoke_at(&url, &WHAT, &[("REDISCLI_AUTH", "hunter2")]).code, 0);

    let Some(store) =
        Redis::start(&["--user", "guard", "on", ">hunter2", "~ag:*", "+auth", "+quit", "+eval"])
    else {
        return;
    };
    let url = format!("redis://127.0.0.1:{}", store.port);
    let user = [&WHAT[..], &["--username", "guard"]].concat();
    fails(revoke_at(&url, &user, &[("REDISCLI_AUTH", "hunter2")]), "ACL");
    let Some(store) = Redis::start(&["--replicaof", "127.0.0.1", "1"]) else { return };
    fails(revoke(&store, &WHAT), "replica");
    let Some(store) = Redis::start(&["--maxmemory", "1"]) else { return };
    fails(revoke(&store, &WHAT), "no room");
    let folder = tempfile::tempdir().unwrap();
    let cluster = ["--cluster-enabled", "yes", "--dir", folder.path().to_str().unwrap()];
    let Some(store) = Redis::start(&cluster) else { return };
    fails(revoke(&store, &WHAT), "Redis Cluster");
}

/// Something that answers every connection with these bytes.
fn answering(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
            let _ = stream.write_all(bytes);
        }
    });
    port
}

#[test]
fn what_is_no_store_or_not_ready_is_told() {
    const WHAT: [&str; 4] = ["--jti", "a", "--expires-at", "2099-01-01T00:00:00Z"];
    const NOTHING: &str = "nothing is revoked";
    const UNKNOWN: &str = "it is not known whether that is revoked";
    for (bytes, word, revoked) in [
        (&b"-LOADING Redis is loading the dataset in memory\r\n"[..], "Try again", NOTHING),
        (b"-LOADING Redis is loading the dataset in memory\r\n+OK\r\n", "Try again", NOTHING),
        (b"-MOVED 3999 127.0.0.1:6381\r\n+OK\r\n", "Redis Cluster", NOTHING),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not of the Redis protocol", UNKNOWN),
        (b"*2\r\n:1\r\n:1\r\n", "not whole", UNKNOWN),
        (b"-DENIED Redis is running in protected mode\r\n", "protected mode", NOTHING),
        (b"", "not whole", UNKNOWN),
    ] {
        let run = revoke_at(&format!("127.0.0.1:{}", answering(bytes)), &WHAT, &[]);
        assert!(run.code == 1 && run.err.contains(word) && run.err.contains(revoked), "{word}: {run:?}");
    }
    let [port] = free_ports();
    let run = revoke_at(&format!("127.0.0.1:{port}"), &WHAT, &[]);
    assert!(run.code == 1 && run.err.contains("not reached"), "{run:?}");
    // It takes the connection, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let run = revoke_at(&format!("127.0.0.1:{}", silent.local_addr().unwrap().port()), &WHAT, &[]);
    assert!(run.code == 1 && run.err.contains("in time") && run.err.contains(UNKNOWN), "{run:?}");
}

#[test]
fn a_store_over_tls_is_known_by_the_system_s_certificates_and_its_name() {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = leaf.signed_by(&key, &Issuer::new(ca, &ca_key)).unwrap();
    let (ca_file, file, key_file) =
        (File::new(ca_certificate.pem()), File::new(certificate.pem()), File::new(key.serialize_pem()));
    let [port] = free_ports();
    let options = [
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        file.path(),
        "--tls-key-file",
        key_file.path(),
        "--tls-ca-cert-file",
        ca_file.path(),
        "--tls-auth-clients",
        "no",
    ];
    let Some(store) = Redis::start(&options) else { return };
    const WHAT: [&str; 4] = ["--jti", "a", "--expires-at", "2099-01-01T00:00:00Z"];
    let trusted = [("SSL_CERT_FILE", ca_file.path())];
    let run = revoke_at(&format!("rediss://localhost:{port}"), &WHAT, &trusted);
    assert_eq!(run.code, 0, "{run:?}");
    assert_ne!(store.command(&["DBSIZE"]), ":0\r\n");
    for (url, environment) in [
        (format!("rediss://localhost:{port}"), &[][..]),
        (format!("rediss://127.0.0.1:{port}"), &trusted),
        (format!("rediss://localhost:{}", store.port), &trusted),
    ] {
        let run = revoke_at(&url, &WHAT, environment);
        assert!(run.code == 1 && run.err.contains("TLS fails"), "{url}: {run:?}");
    }
    let run = revoke_at(&format!("redis://localhost:{port}"), &WHAT, &[]);
    assert!(run.code == 1 && run.err.contains("rediss://"), "{run:?}");
}

#[test]
fn wrong_usage_is_told_before_anything_is_sent() {
    let good = token(&claims(json!({})));
    let jti = ["--jti", "a", "--expires-at", "2099-01-01T00:00:00Z"];
    for (more, word) in [
        (&[][..], "--token"),
        (&["--token", "abc"], "not a JWT"),
        (&["--token", "a.b.c"], "not a JWT"),
        (&["--jti", "a"], "--expires-at"),
        (&["--jti", "", "--expires-at", "1795600800"], "empty"),
        (&["--jti", "a", "--expires-at", "tomorrow"], "RFC 3339"),
        (&["--sub", "a"], "--issued-before"),
        (&["--sub", "", "--issued-before", "1795600800"], "--sub"),
        (&["--token", &good, "--sub", "a", "--issued-before", "1795600800"], "--sub"),
        (&["--token", &good, "--expires-at", "1795600800"], "--expires-at"),
        (&["--token", &good, "--username", "guard"], "--password-env"),
        (&["--token", &good, "--prefix", "a:b"], "letters"),
    ] {
        let run = revoke_at("127.0.0.1:1", more, &[]);
        assert!(run.code == 2 && run.err.contains(word), "{more:?}: {run:?}");
    }
    let run = revoke_at("redis://:hunter2@redis", &jti, &[]);
    assert!(
        run.code == 2 && run.err.contains("environment variable") && !run.err.contains("hunter2"),
        "{run:?}"
    );
    // No configuration has a part in this.
    assert!(
        run.err.contains("--password-env") && run.err.contains("--username") && !run.err.contains("fleet."),
        "{run:?}"
    );
    let short = revoke_at("127.0.0.1:1", &jti, &[("FLEET_SECRET", "short")]);
    assert!(
        short.code == 1 && short.err.contains("at least 32") && !short.err.contains("short\""),
        "{short:?}"
    );
    let mut command = command();
    command.args(["revoke", "--redis", "127.0.0.1:1", "--fleet-secret-env", "NOT_SET"]).args(jti);
    let unset = self::run(&mut command);
    assert!(unset.code == 1 && unset.err.contains("NOT_SET is not set"), "{unset:?}");
}
