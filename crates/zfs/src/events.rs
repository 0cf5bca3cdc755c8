//! What happens in the pools, as `zpool events -Hvf` tells it.
//!
//! A hint to look again, not a log: ZFS drops events when too many come at once, tells old ones
//! again at each start, and prints names and values so that a value can pass for an event.

/// Something that happened in a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Counts up from 1 since the module was loaded; a gap means that events were dropped.
    pub id: u64,
    /// The pool's name, unchecked.
    pub pool: String,
    /// The dataset or snapshot in full, unchecked: `tank/a`, `tank/a@monday`, `tank/a/%recv`.
    pub dataset: Option<String>,
    /// The operation in ZFS's history (`create`, `snapshot`, `destroy`, `rename`, `receive`,
    /// `finish receiving`, `set`, ...), else the event's class (`pool_import`, `config_sync`, ...).
    pub operation: String,
    /// More on the operation, in a form of its own: `-> tank/b` for `rename`.
    pub detail: Option<String>,
}

impl Event {
    /// The dataset's new name, if it was renamed.
    pub fn renamed_to(&self) -> Option<&str> {
        if self.operation == "rename" { self.detail.as_deref()?.strip_prefix("-> ") } else { None }
    }
}

/// Makes events of lines.
#[derive(Debug, Default)]
pub struct Parser {
    block: Block,
}

/// The fields of the event that is being told. The first of a name counts.
#[derive(Debug, Default)]
struct Block {
    class: Option<String>,
    pool: Option<String>,
    dataset: Option<String>,
    operation: Option<String>,
    detail: Option<String>,
    id: Option<u64>,
}

impl Parser {
    /// Takes a line, without its end; gives the event that it completes.
    ///
    /// An event is a line with its time and class, a line `name = value` for each field (text in
    /// quotes, numbers in hexadecimal), and an empty line. What isn't understood is passed over.
    pub fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            return std::mem::take(&mut self.block).finish();
        }
        let (name, value) = line.trim_start().split_once(" = ")?;
        let text = || value.strip_prefix('"')?.strip_suffix('"').map(str::to_owned);
        let block = &mut self.block;
        let (field, value) = match name {
            "class" => (&mut block.class, text()),
            "pool" => (&mut block.pool, text()),
            "history_dsname" => (&mut block.dataset, text()),
            "history_internal_name" => (&mut block.operation, text()),
            "history_internal_str" => (&mut block.detail, text()),
            "eid" => {
                block.id = value.strip_prefix("0x").and_then(|v| u64::from_str_radix(v, 16).ok());
                return None;
            }
            _ => return None,
        };
        if field.is_none() {
            *field = value;
        }
        None
    }
}

impl Block {
    fn finish(self) -> Option<Event> {
        let class = self.class?;
        let kind = class.rsplit('.').next().unwrap_or(&class).to_owned();
        Some(Event {
            id: self.id.unwrap_or(0),
            pool: self.pool?,
            dataset: self.dataset,
            operation: self.operation.unwrap_or(kind),
            detail: self.detail,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What OpenZFS 2.3.2 printed, a few of each kind.
    const EVENTS: &str = include_str!("../tests/fixtures/events.txt");

    fn parse(text: &str) -> Vec<Event> {
        let mut parser = Parser::default();
        text.lines().filter_map(|line| parser.line(line)).collect()
    }

    #[test]
    fn what_happened_in_a_real_pool_is_told_in_order() {
        let told: Vec<_> = parse(EVENTS)
            .iter()
            .map(|event| {
                let dataset = event.dataset.as_deref().unwrap_or(&event.pool);
                format!("{:#x} {dataset}: {}", event.id, event.operation)
            })
            .collect();
        assert_eq!(
            told,
            [
                "0x1 tank: pool_create",
                "0x2 tank: create",
                "0x2f tank: config_cache_write",
                "0x30 tank: config_sync",
                "0x63 tank/fs: create",
                "0x65 tank/fs@one: snapshot",
                "0x66 tank/fs@two words: snapshot",
                "0x68 tank/fs: bookmark",
                "0x6b tank/vol: set",
                "0x72 tank/a clone: clone",
                "0x76 tank/ lead: create",
                // Its value has a tab and a newline in it.
                "0x79 tank/fs: set",
                "0x8e dest/fs: receive",
                "0x92 dest/two: receive",
                "0x93 dest/two: finish receiving",
                "0x94 dest/two@one: snapshot",
                "0x95 dest/two/%recv: receive",
                "0x96 dest/fs: destroy",
                "0xad tank/par: rename",
                "0xae tank/fs@three: destroy",
                "0xaf tank/fs: remove bookmark",
                "0xb5 dest: pool_export",
                "0xba dest: pool_import",
                "0xc2 dest: pool_destroy",
            ]
        );
    }

    #[test]
    fn only_a_rename_tells_the_new_name() {
        let events = parse(EVENTS);
        let renamed: Vec<_> = events.iter().filter_map(Event::renamed_to).collect();
        assert_eq!(renamed, ["tank/rapi"]);
    }

    #[test]
    fn an_event_is_told_as_soon_as_its_empty_line_comes() {
        let mut parser = Parser::default();
        let lines: Vec<_> = EVENTS.lines().take(10).collect();
        let (last, before) = lines.split_last().unwrap();
        assert!(before.iter().all(|line| parser.line(line).is_none()));
        assert_eq!(parser.line(last).unwrap().operation, "pool_create");
    }

    #[test]
    fn a_value_cannot_pass_for_another_dataset() {
        let text = EVENTS.replace("zatlas:x=a", "x\n        history_dsname = \"tank/other\"\n");
        let datasets: Vec<_> = parse(&text).into_iter().filter_map(|event| event.dataset).collect();
        assert!(!datasets.contains(&"tank/other".to_owned()), "{datasets:?}");
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        assert_eq!(parse("\n\nwhat\n = \nclass = \n\nclass = \"a.b\"\n\n"), []);
    }
}
