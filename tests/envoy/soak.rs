//! `make soak`: good and hostile requests for a chosen time, with memory, reloads and misjudgements followed second by
//! second, and a plot of it at the end. Scenes that last go on beside the others; those that fill tables have an Envoy of
//! their own. Memory and reloads are those of both Envoys.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::hostile::{
    StopAtEnd, assert_only, classes, crowded, crowding, good_traffic, hostile_crowd, hostile_round, lasting,
    setup,
};
use crate::process::Envoy;
use crate::setup::Setup;

/// What was seen at one moment.
#[derive(Clone, Copy)]
struct Sample {
    seconds: f64,
    kib: u64,
    good: u64,
    hostile: u64,
    misjudged: u64,
    reloads: u64,
}

/// Tokens are good for an hour.
const REMADE_AFTER: Duration = Duration::from_secs(1200);
/// Memory may grow by so much between the second third of the time and the last: pages that the allocator keeps.
const SLACK_KIB: u64 = 12 * 1024;

#[test]
#[ignore = "takes as long as it is told: `make soak`"]
fn mixed_load_for_as_long_as_told() {
    let seconds = std::env::var("API_GUARD_SOAK_SECONDS").ok().filter(|text| !text.is_empty());
    let seconds: u64 = seconds.map_or(600, |text| text.parse().expect("a number in API_GUARD_SOAK_SECONDS"));
    let envoy = Envoy::start(Setup { loaded: true, ..setup() });
    let crowded = Envoy::start(Setup { loaded: true, ..crowded() });
    let (stopped, good, hostile) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let wrong = Mutex::new(Vec::new());
    let note = |(sent, failed): (u64, Vec<String>)| {
        hostile.fetch_add(sent, Ordering::Relaxed);
        wrong.lock().unwrap().extend(failed);
    };
    let mut samples: Vec<Sample> = Vec::new();
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&stopped);
        for _ in 0..2 {
            scope.spawn(|| {
                let failed = good_traffic(&envoy, &stopped, &good);
                wrong.lock().unwrap().extend(failed);
            });
        }
        scope.spawn(|| {
            let (mut made, mut hostiles) = (Instant::now(), classes());
            while !stopped.load(Ordering::Relaxed) {
                // Their tokens would come to an end in a long run. New ones fill the workers' caches, so not too often.
                if made.elapsed() > REMADE_AFTER {
                    (made, hostiles) = (Instant::now(), classes());
                }
                note(hostile_round(&envoy, &hostiles));
            }
        });
        scope.spawn(|| {
            while !stopped.load(Ordering::Relaxed) {
                note(hostile_crowd(&envoy, &lasting()));
            }
        });
        scope.spawn(|| {
            while !stopped.load(Ordering::Relaxed) {
                note(hostile_round(&crowded, &crowding()));
            }
        });
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(seconds) {
            std::thread::sleep(Duration::from_secs(1));
            let stats = [envoy.stats(), crowded.stats()];
            let reloads =
                stats.iter().flatten().filter(|(name, _)| name.contains("vm_reload")).map(|(_, count)| count);
            samples.push(Sample {
                seconds: start.elapsed().as_secs_f64(),
                kib: envoy.resident_kib() + crowded.resident_kib(),
                good: good.load(Ordering::Relaxed),
                hostile: hostile.load(Ordering::Relaxed),
                misjudged: wrong.lock().unwrap().len() as u64,
                reloads: reloads.sum(),
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    report(&samples);
    assert!(wrong.is_empty(), "{} misjudged:\n{}", wrong.len(), wrong.join("\n"));
    assert_only(&envoy, "busy");
    assert_only(&crowded, "revocation_full");
    let third = samples.len() / 3;
    let most = |part: &[Sample]| part.iter().map(|sample| sample.kib).max().unwrap_or(0);
    let (early, late) = (most(&samples[third..2 * third]), most(&samples[2 * third..]));
    assert!(late <= early + SLACK_KIB, "{early} KiB grew to {late}");
    envoy.assert_healthy();
    crowded.assert_healthy();
}

/// Figures on standard error, a table and a plot in `target/soak`.
fn report(samples: &[Sample]) {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("soak");
    std::fs::create_dir_all(&directory).unwrap();
    let mut table = "seconds,resident_kib,good,hostile,misjudged,vm_reloads\n".to_owned();
    for sample in samples {
        let Sample { seconds, kib, good, hostile, misjudged, reloads } = sample;
        writeln!(table, "{seconds:.1},{kib},{good},{hostile},{misjudged},{reloads}").unwrap();
    }
    std::fs::write(directory.join("soak.csv"), table).unwrap();
    std::fs::write(directory.join("soak.svg"), plot(samples)).unwrap();
    let last = samples.last().expect("a sample");
    eprintln!(
        "soak: {} good and {} hostile requests in {:.0} s, {} misjudged, {} VM reloads, {} KiB at the end, {:+.1} KiB a minute over the second half; plot in {}",
        last.good,
        last.hostile,
        last.seconds,
        last.misjudged,
        last.reloads,
        last.kib,
        slope(&samples[samples.len() / 2..]) * 60.0,
        directory.join("soak.svg").display(),
    );
}

/// Least squares: KiB a second.
fn slope(samples: &[Sample]) -> f64 {
    let count = samples.len() as f64;
    let mean = |of: fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|sample| sample.seconds), mean(|sample| sample.kib as f64));
    let over = samples.iter().map(|sample| (sample.seconds - x) * (sample.kib as f64 - y)).sum::<f64>();
    let under = samples.iter().map(|sample| (sample.seconds - x).powi(2)).sum::<f64>();
    if under > 0.0 { over / under } else { 0.0 }
}

/// A name, a colour and points over time.
type Line = (&'static str, &'static str, Vec<(f64, f64)>);

/// Three panels over one axis of time: memory, requests a second, and what must stay at nothing.
fn plot(samples: &[Sample]) -> String {
    const WIDTH: f64 = 760.0;
    const HEIGHT: f64 = 120.0;
    const LEFT: f64 = 90.0;
    let end = samples.last().map_or(1.0, |sample| sample.seconds.max(1.0));
    let rate = |of: fn(&Sample) -> u64| -> Vec<(f64, f64)> {
        let pairs = samples.windows(2);
        pairs
            .map(|two| {
                (two[1].seconds, (of(&two[1]) - of(&two[0])) as f64 / (two[1].seconds - two[0].seconds))
            })
            .collect()
    };
    let level = |of: fn(&Sample) -> f64| samples.iter().map(|sample| (sample.seconds, of(sample))).collect();
    let panels: [(&str, Vec<Line>); 3] = [
        (
            "resident memory, MiB",
            vec![("both Envoys", "#1f6feb", level(|sample| sample.kib as f64 / 1024.0))],
        ),
        (
            "requests a second",
            vec![
                ("good", "#1a7f37", rate(|sample| sample.good)),
                ("hostile", "#bc4c00", rate(|sample| sample.hostile)),
            ],
        ),
        (
            "in all",
            vec![
                ("misjudged", "#cf222e", level(|sample| sample.misjudged as f64)),
                ("VM reloads", "#8250df", level(|sample| sample.reloads as f64)),
            ],
        ),
    ];
    let mut svg = String::new();
    for (number, (title, lines)) in panels.iter().enumerate() {
        let top = 60.0 + number as f64 * (HEIGHT + 50.0);
        let values = lines.iter().flat_map(|(_, _, points)| points).map(|(_, value)| *value);
        let most = values.fold(1.0_f64, f64::max) * 1.1;
        let bottom = top + HEIGHT;
        writeln!(svg, "<text x='16' y='{}' font-weight='600'>{title}</text>", top - 10.0).unwrap();
        writeln!(svg, "<path d='M{LEFT} {top}V{bottom}H{}' fill='none' stroke='#d0d7de'/>", LEFT + WIDTH)
            .unwrap();
        for (share, at) in [(0.0, bottom), (0.5, top + HEIGHT / 2.0), (1.0, top)] {
            writeln!(
                svg,
                "<text x='{}' y='{}' text-anchor='end'>{:.0}</text>",
                LEFT - 8.0,
                at + 4.0,
                most * share
            )
            .unwrap();
        }
        for (column, (name, colour, points)) in lines.iter().enumerate() {
            let path: Vec<String> = points
                .iter()
                .map(|(x, y)| format!("{:.1} {:.1}", LEFT + x / end * WIDTH, bottom - y / most * HEIGHT))
                .collect();
            writeln!(svg, "<polyline points='{}' fill='none' stroke='{colour}'/>", path.join(" ")).unwrap();
            let x = LEFT + 220.0 + column as f64 * 120.0;
            writeln!(svg, "<text x='{x}' y='{}' fill='{colour}'>{name}</text>", top - 10.0).unwrap();
        }
    }
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='900' height='570' font-family='system-ui, sans-serif' font-size='12'>\n\
         <rect width='100%' height='100%' fill='white'/>\n\
         <text x='16' y='26' font-size='16' font-weight='600'>Good and hostile requests for {end:.0} seconds</text>\n{svg}</svg>\n"
    )
}
