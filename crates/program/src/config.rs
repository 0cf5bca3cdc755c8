//! `--config FILE`: any flag, written in TOML instead of on the command line.
//!
//! The file's keys are turned into arguments, so that one parser, clap's, judges both, and a flag
//! on the command line wins over the file's.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Args, Command, Parser};

/// The flag itself, to be flattened into a program's arguments.
#[derive(Args, Clone, Debug)]
pub struct ConfigFile {
    /// Read flags from this TOML file; those on the command line win
    ///
    /// A key is a flag's name without the dashes. A list is an array.
    #[arg(long = "config", value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Parses the command line and the file that it names; ends the program with status 2 where they
/// are wrong.
pub fn parse<T: Parser>() -> T {
    let arguments = match with_file(&T::command(), std::env::args_os().collect()) {
        Ok(arguments) => arguments,
        Err(error) => T::command().error(clap::error::ErrorKind::InvalidValue, error).exit(),
    };
    T::parse_from(arguments)
}

/// The arguments, with those of the file put in front where the command line lacks them.
fn with_file(command: &Command, mut arguments: Vec<OsString>) -> Result<Vec<OsString>, String> {
    let Some(file) = value_of(&arguments, "config") else { return Ok(arguments) };
    let text = std::fs::read_to_string(&file)
        .map_err(|error| format!("cannot read the file {}: {error}", file.display()))?;
    let table: toml::Table =
        text.parse().map_err(|error| format!("{} is not TOML: {error}", file.display()))?;
    let mut from_file = Vec::new();
    for (key, value) in &table {
        let flag = find_flag(command, key).map_err(|error| in_file(&file, &error))?;
        if value_of(&arguments, key).is_none() && !has_switch(&arguments, key) {
            let argument = to_argument(flag, key, value).map_err(|error| in_file(&file, &error))?;
            from_file.extend(argument.map(OsString::from));
        }
    }
    arguments.splice(1.min(arguments.len())..1.min(arguments.len()), from_file);
    Ok(arguments)
}

fn in_file(file: &Path, error: &str) -> String {
    format!("in {}: {error}", file.display())
}

/// Everything before `--`, the end of flags.
fn flags(arguments: &[OsString]) -> impl Iterator<Item = &OsStr> {
    arguments.iter().skip(1).map(OsString::as_os_str).take_while(|argument| *argument != "--")
}

/// The value of `--name VALUE` or `--name=VALUE`.
fn value_of(arguments: &[OsString], name: &str) -> Option<PathBuf> {
    let flag = format!("--{name}");
    let with_value = format!("--{name}=");
    let mut flags = flags(arguments);
    while let Some(argument) = flags.next() {
        if argument == flag.as_str() {
            return flags.next().map(PathBuf::from);
        }
        if let Some(value) = argument.to_str().and_then(|text| text.strip_prefix(&with_value)) {
            return Some(PathBuf::from(value));
        }
    }
    None
}

fn has_switch(arguments: &[OsString], name: &str) -> bool {
    let flag = format!("--{name}");
    flags(arguments).any(|argument| argument == flag.as_str())
}

/// The flag that a key stands for; the error names the nearest known one.
fn find_flag<'a>(command: &'a Command, key: &str) -> Result<&'a Arg, String> {
    const NOT_IN_A_FILE: [&str; 3] = ["config", "help", "version"];
    let known = || {
        command.get_arguments().filter_map(|arg| {
            let long = arg.get_long()?;
            (!NOT_IN_A_FILE.contains(&long)).then_some((long, arg))
        })
    };
    if let Some((_, arg)) = known().find(|(long, _)| *long == key) {
        return Ok(arg);
    }
    let nearest = known().min_by_key(|(long, _)| strsim::damerau_levenshtein(long, key));
    match nearest {
        Some((nearest, _)) => Err(format!("unknown key '{key}'; the nearest known is '{nearest}'")),
        None => Err(format!("unknown key '{key}'; this program has no flags")),
    }
}

fn to_argument(flag: &Arg, key: &str, value: &toml::Value) -> Result<Option<String>, String> {
    if matches!(flag.get_action(), ArgAction::SetTrue) {
        return match value {
            toml::Value::Boolean(true) => Ok(Some(format!("--{key}"))),
            toml::Value::Boolean(false) => Ok(None),
            _ => Err(format!("'{key}' must be true or false")),
        };
    }
    let text = match value {
        toml::Value::Array(items) => {
            items.iter().map(|item| scalar(key, item)).collect::<Result<Vec<_>, _>>()?.join(",")
        }
        scalar_value => scalar(key, scalar_value)?,
    };
    Ok(Some(format!("--{key}={text}")))
}

fn scalar(key: &str, value: &toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Float(number) => Ok(number.to_string()),
        _ => Err(format!("'{key}' must be a text, a number or a list of them")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[derive(Parser, Debug)]
    struct Example {
        #[command(flatten)]
        config: ConfigFile,
        #[arg(long, value_delimiter = ',')]
        zpools: Vec<String>,
        #[arg(long)]
        name: Option<String>,
        #[arg(long)]
        disable_tls: bool,
    }

    fn parse(toml: &str, arguments: &[&str]) -> Result<Example, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("agent.toml");
        std::fs::write(&file, toml).unwrap();
        let mut all = vec![OsString::from("example"), "--config".into(), file.into()];
        all.extend(arguments.iter().map(OsString::from));
        let arguments = with_file(&Example::command(), all)?;
        Example::try_parse_from(arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_gives_what_the_command_line_lacks() {
        let toml = "name = 'm1'\nzpools = ['a', 'b']\ndisable-tls = true";
        let example = parse(toml, &["--zpools", "c"]).unwrap();
        assert_eq!(example.name.as_deref(), Some("m1"));
        assert_eq!(example.zpools, ["c"]);
        assert!(example.disable_tls);
        assert_eq!(parse(toml, &["--name=m2"]).unwrap().name.as_deref(), Some("m2"));
    }

    #[test]
    fn a_wrong_key_is_named_with_the_nearest_known() {
        let error = parse("zpool = 'a'", &[]).unwrap_err();
        assert!(error.contains("unknown key 'zpool'; the nearest known is 'zpools'"), "{error}");
        assert!(parse("config = 'x'", &[]).unwrap_err().contains("unknown key 'config'"));
    }

    #[test]
    fn a_wrong_value_or_file_is_an_error() {
        assert!(parse("disable-tls = 'yes'", &[]).unwrap_err().contains("true or false"));
        assert!(parse("name = {}", &[]).unwrap_err().contains("'name' must be"));
        assert!(parse("name = ", &[]).unwrap_err().contains("is not TOML"));
    }
}
