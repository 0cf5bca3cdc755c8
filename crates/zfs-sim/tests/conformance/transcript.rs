//! Transcripts: commands, and what they print and return.
//!
//! `$ COMMAND` is run by bash; the lines after it are its stdout, those with `! ` its stderr, and `= N` its
//! exit status if it isn't 0. Lines may have holes (see `pattern`). `# ` begins a comment.

use super::backend::{Backend, Ran};
use super::pattern::{Bindings, matches};

/// One command and its outcome, as expected.
#[derive(Default)]
struct Step<'a> {
    command: &'a str,
    stdout: Vec<&'a str>,
    stderr: Vec<&'a str>,
    status: i32,
}

/// Plays a transcript on fresh pools; fails with what was otherwise, as it should have been written.
pub(crate) fn play(transcript: &str) {
    let pools: Vec<_> =
        ["tank", "back"].into_iter().filter(|pool| transcript.contains(pool)).collect();
    let backend = Backend::with_pools(&pools);
    let mut bindings = Bindings::new();
    let mut different = String::new();
    for step in parse(transcript) {
        let ran = backend.run(step.command);
        let same = step.status == ran.status
            && same(&step.stdout, &ran.stdout, &mut bindings)
            && same(&step.stderr, &ran.stderr, &mut bindings);
        if !same {
            different.push_str(&format!(
                "{}\n-- expected:\n{}",
                written(step.command, &ran),
                expected(&step)
            ));
        }
    }
    assert!(different.is_empty(), "\n{different}");
}

fn parse(transcript: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for line in transcript.lines().filter(|line| !line.starts_with("# ")) {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command, ..Step::default() });
            continue;
        }
        let Some(step) = steps.last_mut() else { continue };
        if let Some(line) = line.strip_prefix("! ").or(line.strip_prefix("!")) {
            step.stderr.push(line);
        } else if let Some(status) = line.strip_prefix("= ") {
            step.status = status.parse().unwrap();
        } else if !line.is_empty() {
            step.stdout.push(line);
        }
    }
    steps
}

fn same(expected: &[&str], printed: &str, bindings: &mut Bindings) -> bool {
    let printed: Vec<_> = printed.lines().collect();
    expected.len() == printed.len()
        && expected.iter().zip(printed).all(|(expected, line)| matches(expected, line, bindings))
}

fn written(command: &str, ran: &Ran) -> String {
    let stderr: String = ran.stderr.lines().map(|line| format!("! {line}\n")).collect();
    let status = if ran.status == 0 { String::new() } else { format!("= {}\n", ran.status) };
    format!("$ {command}\n{}{stderr}{status}", ran.stdout)
}

fn expected(step: &Step<'_>) -> String {
    let stdout = step.stdout.iter().map(|line| format!("{line}\n"));
    let stderr = step.stderr.iter().map(|line| format!("! {line}\n"));
    stdout.chain(stderr).chain([format!("= {}\n\n", step.status)]).collect()
}
