//! `make run` as a new user meets it: three curl lines give 200, 401 and 403.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::Duration;

use api_guard_testkit::free_ports;

/// The demo, stopped with everything it started when the test ends.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        // As Ctrl-C does; but where these tests themselves run in the background of a shell, that is ignored, and stays so.
        for signal in ["-INT", "-TERM"] {
            let _ = Command::new("kill").args([signal, &self.0.id().to_string()]).status();
            for _ in 0..100 {
                if !matches!(self.0.try_wait(), Ok(None)) {
                    return;
                }
                sleep(Duration::from_millis(50));
            }
        }
        let _ = self.0.kill();
    }
}

/// Sends what a curl line would, and gives the status.
fn run_curl(line: &str) -> u16 {
    let url = line.split(' ').find(|word| word.starts_with("http://")).unwrap();
    let (address, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let method = line.split("-X ").nth(1).map_or("GET", |rest| rest.split(' ').next().unwrap());
    let header = line.split("-H '").nth(1).map_or("x-none: 1", |rest| rest.split('\'').next().unwrap());
    let mut stream = TcpStream::connect(address.replace("localhost", "127.0.0.1")).unwrap();
    write!(stream, "{method} /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{header}\r\n\r\n")
        .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Starts the demo, and reads what it says. Its errors go to those of the tests.
fn demo(environment: &[(&str, String)]) -> (Demo, Vec<String>) {
    let child = Command::new("sh")
        .arg("scripts/run.sh")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut demo = Demo(child);
    let mut said = Vec::new();
    for line in BufReader::new(demo.0.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let ends = line.starts_with("Ctrl-C");
        said.push(line);
        if ends {
            break;
        }
    }
    (demo, said)
}

#[test]
fn make_run_prints_three_curl_lines_that_give_what_they_say() {
    let ports = free_ports::<3>().map(|port| port.to_string());
    let names = ["PORT", "ADMIN_PORT", "UPSTREAM_PORT"];
    let (_demo, said) = demo(&names.into_iter().zip(ports).collect::<Vec<_>>());
    let mut expected: Vec<u16> = Vec::new();
    let mut statuses: Vec<u16> = Vec::new();
    for pair in said.windows(2) {
        if pair[1].trim_start().starts_with("curl ") {
            expected.push(pair[0].split(',').next().unwrap().parse().unwrap());
            statuses.push(run_curl(&pair[1]));
        }
    }
    assert_eq!(expected, [200, 401, 403], "{said:?}");
    assert_eq!(statuses, expected);
}

/// The first of three free ports that follow each other, below those that connections take when they go out: a busy
/// machine has used nearly every second one of those within the last minute.
fn three_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % 2_000).unwrap() * 5;
    let is_free = |port: u16| std::net::TcpListener::bind(("0.0.0.0", port)).is_ok();
    let mut firsts =
        std::iter::repeat_with(|| 15_000 + (own + NEXT.fetch_add(3, Ordering::Relaxed)) % 15_000).take(5_000);
    firsts.find(|first| (0..3).all(|more| is_free(first + more))).unwrap()
}

#[test]
fn a_fleet_of_three_shares_a_revocation_and_ends_with_its_store() {
    a_fleet_of_three("");
}

#[test]
fn a_fleet_of_three_libraries_does_as_one_of_modules_does() {
    if !std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/libapi_guard.so").is_file() {
        return api_guard_testkit::skip("no library: make native");
    }
    a_fleet_of_three("1");
}

/// Tries `make run FLEET=3`. `native`: the variable `NATIVE`.
fn a_fleet_of_three(native: &str) {
    // Says that it is skipped where there is no store.
    if api_guard_testkit::Redis::start(&[]).is_none() {
        return;
    }
    let (first, [upstream, redis]) = (three_ports(), free_ports());
    let admin = three_ports();
    let mut environment = vec![("FLEET", "3".to_owned()), ("NATIVE", native.to_owned())];
    for (name, port) in
        [("PORT", first), ("ADMIN_PORT", admin), ("UPSTREAM_PORT", upstream), ("REDIS_PORT", redis)]
    {
        environment.push((name, port.to_string()));
    }
    let (demo, said) = demo(&environment);
    let line = |part: &str| {
        let found = said.iter().find(|line| line.contains("curl ") && line.contains(part));
        found.unwrap_or_else(|| panic!("no curl line with {part} in {said:?}"))
    };
    let good = line("/orders/42 -H");
    let at = |number: u16| run_curl(&good.replace(&first.to_string(), &(first + number).to_string()));
    assert_eq!([0, 1, 2].map(at), [200; 3]);
    // 503: it is in force here, and the store hears of it as soon as it answers in time.
    assert!([200, 503].contains(&run_curl(line("/auth/revoke"))));
    for _ in 0..100 {
        if [0, 1, 2].map(at) == [401; 3] {
            break;
        }
        sleep(Duration::from_millis(100));
    }
    assert_eq!([0, 1, 2].map(at), [401; 3]);
    drop(demo);
    for port in [first, first + 1, first + 2, redis] {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "{port} is still open");
    }
}

#[test]
fn a_port_in_use_is_told_with_the_variable_that_moves_it() {
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    for name in ["PORT", "ADMIN_PORT", "UPSTREAM_PORT"] {
        let ports = free_ports::<3>().map(|port| port.to_string());
        let output = make()
            .arg("run")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .envs(["PORT", "ADMIN_PORT", "UPSTREAM_PORT"].into_iter().zip(ports))
            .env(name, &taken)
            .output()
            .unwrap();
        assert!(!output.status.success());
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(
            told.contains(&format!("port {taken} ")) && told.contains(&format!("make run {name}=")),
            "{told}"
        );
        // Said before anything is built.
        let first = String::from_utf8(output.stdout).unwrap();
        assert_eq!(first.lines().count(), 1, "{first}");
    }
}

/// make as a person calls it: the tests may have been called by another one, which would have it say more.
fn make() -> Command {
    let mut make = Command::new("make");
    make.env_remove("MAKEFLAGS").env_remove("MAKELEVEL").env_remove("MFLAGS");
    make
}

#[test]
fn the_first_words_of_make_run_come_before_anything_is_built() {
    let ports = free_ports::<3>().map(|port| port.to_string());
    let mut child = make()
        // Nothing is built here: only the order counts.
        .args(["run", "MAKE=false"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .envs(["PORT", "ADMIN_PORT", "UPSTREAM_PORT"].into_iter().zip(ports))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = out.read_line(&mut line);
        let _ = sender.send(line);
    });
    let line = receiver.recv_timeout(Duration::from_secs(20));
    let _ = child.wait();
    assert!(line.unwrap().starts_with("Building"));
}
