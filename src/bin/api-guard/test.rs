//! `api-guard test`: do policy tests hold?

use std::path::PathBuf;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::cases::{Case, Court, cases};
use crate::input;
use crate::outcome::{self, Failure, Outcome, print};
use crate::source::Written;
use crate::style::Style;

/// Judge the requests of policy tests, and compare each decision with what is expected.
///
/// CASES are JSON or YAML: {"time": "2026-11-29T10:00:00Z", "cases": [{"name": "...", "request": {"method": "GET",
/// "path": "/orders/42", "headers": {}, "client_ip": "203.0.113.7", "body": "...", "token": {"sub": "user-7"}},
/// "expect": {"status": 200, "code": null, "route": "...", "subject": "user-7", "upstream_headers": {}}}]}. A token is an
/// object of claims, which the configuration's own key signs, or a text. Each request comes to a guard that has counted
/// and revoked nothing. Exit code 0: all hold, 1: one differs.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  api-guard test --config api-guard.yaml cases.yaml
  api-guard test --config api-guard.yaml cases/*.yaml --format junit > api-guard.junit.xml")]
pub(crate) struct Test {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Files of cases
    #[arg(value_name = "CASES", required = true)]
    cases: Vec<PathBuf>,
    /// How results are printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Junit,
}

/// A case, and how its decision differs from what is expected.
struct Result {
    case: Case,
    differences: Vec<String>,
}

impl Test {
    /// Prints the results.
    pub(crate) fn run(&self) -> outcome::Result {
        input::once(std::iter::once(&self.config).chain(&self.cases).map(PathBuf::as_path))?;
        let court = Court::new(Written::read(&self.config)?)?;
        let mut files = Vec::new();
        for path in &self.cases {
            let mut results = Vec::new();
            for case in cases(path, true)? {
                let differences = court.judge(&case)?.differences(&case.expect);
                results.push(Result { case, differences });
            }
            files.push((path.display().to_string(), results));
        }
        let all = || files.iter().flat_map(|(_, results)| results);
        match self.format {
            Format::Text => print(&text(all())),
            Format::Junit => print(&junit(&files)?),
        }
        let holds = all().all(|result| result.differences.is_empty());
        Ok(if holds { Outcome::Done } else { Outcome::Refused })
    }
}

fn text<'r>(results: impl Iterator<Item = &'r Result>) -> String {
    let style = Style::of_stdout();
    let (mut text, mut held, mut count) = (String::new(), 0_usize, 0_usize);
    for Result { case, differences } in results {
        count = count.saturating_add(1);
        if differences.is_empty() {
            held = held.saturating_add(1);
            continue;
        }
        text.push_str(&format!("{}: {} {}\n", case.at, style.bad("differs"), case.name));
        for difference in differences {
            text.push_str(&format!("  {difference}\n"));
        }
    }
    let noun = if count == 1 { "case holds" } else { "cases hold" };
    text.push_str(&format!("{held} of {count} {noun}\n"));
    text
}

fn junit(files: &[(String, Vec<Result>)]) -> std::result::Result<String, Failure> {
    let mut report = Report::new("api-guard");
    for (file, results) in files {
        let mut suite = TestSuite::new(file.as_str());
        for Result { case, differences } in results {
            let status = if differences.is_empty() {
                TestCaseStatus::success()
            } else {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(format!("{}: {}", case.at, differences.join("; ")));
                status
            };
            let mut told = TestCase::new(case.name.as_str(), status);
            told.set_classname(file.as_str());
            suite.add_test_case(told);
        }
        report.add_test_suite(suite);
    }
    report.to_string().map_err(|error| Failure::failed(format!("the report cannot be printed: {error}")))
}
