//! Reads options the way the real commands do: getopt's clusters, options after operands, `--`.

/// The options and operands of a command.
pub(crate) struct Options {
    given: Vec<(char, String)>,
    /// What isn't an option, in order.
    pub(crate) operands: Vec<String>,
}

/// An option that is unknown or lacks its argument.
pub(crate) enum Mistake {
    Unknown(char),
    NoArgument(char),
}

impl Mistake {
    /// The complaint in the real commands' usual words.
    pub(crate) fn complaint(&self) -> String {
        match self {
            Self::Unknown(option) => format!("invalid option '{option}'"),
            Self::NoArgument(option) => format!("missing argument for '{option}' option"),
        }
    }
}

impl Options {
    /// Reads arguments by a specification like getopt's: `o:u` knows `-o ARG` and `-u`.
    pub(crate) fn read(arguments: &[String], specification: &str) -> Result<Self, Mistake> {
        let mut options = Self { given: Vec::new(), operands: Vec::new() };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let Some(cluster) = argument.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
                options.operands.push(argument.clone());
                continue;
            };
            if cluster == "-" {
                options.operands.extend(arguments.by_ref().cloned());
                break;
            }
            let mut letters = cluster.chars();
            while let Some(letter) = letters.next() {
                let at = specification
                    .find(letter)
                    .filter(|_| letter != ':')
                    .ok_or(Mistake::Unknown(letter))?;
                if specification[at + 1..].starts_with(':') {
                    let attached = letters.as_str();
                    let value = if attached.is_empty() {
                        arguments.next().cloned()
                    } else {
                        Some(attached.to_owned())
                    };
                    options.given.push((letter, value.ok_or(Mistake::NoArgument(letter))?));
                    break;
                }
                options.given.push((letter, String::new()));
            }
        }
        Ok(options)
    }

    /// Whether a flag was given.
    pub(crate) fn has(&self, flag: char) -> bool {
        self.given.iter().any(|(letter, _)| *letter == flag)
    }

    /// The last argument given to an option.
    pub(crate) fn value(&self, option: char) -> Option<&str> {
        self.values(option).last()
    }

    /// All arguments given to an option, in order.
    pub(crate) fn values(&self, option: char) -> impl Iterator<Item = &str> {
        self.given
            .iter()
            .filter(move |(letter, _)| *letter == option)
            .map(|(_, value)| value.as_str())
    }

    /// The arguments of several options, in the order given, each with its letter.
    pub(crate) fn each(&self) -> impl Iterator<Item = (char, &str)> {
        self.given.iter().map(|(letter, value)| (*letter, value.as_str()))
    }
}
