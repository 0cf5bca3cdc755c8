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
