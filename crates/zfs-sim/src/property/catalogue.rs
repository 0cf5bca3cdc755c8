//! The native properties of OpenZFS 2.3.2: which exist on what, their defaults, and which values may be set.

use crate::usage;

/// Name; where it exists (f filesystem, v volume, s snapshot of a filesystem, w of a volume, b bookmark);
/// its default, unless it is worked out. In the order of `zfs get all`.
const CATALOGUE: &[(&str, &str, Option<&str>)] = &[
    ("type", "fvswb", None),
    ("creation", "fvswb", None),
    ("used", "fvsw", None),
    ("available", "fv", None),
    ("referenced", "fvswb", None),
    ("compressratio", "fvsw", None),
    ("mounted", "f", None),
    ("origin", "fv", None),
    ("quota", "f", Some("0")),
    ("reservation", "fv", Some("0")),
    ("volsize", "vw", None),
    ("volblocksize", "v", Some("16384")),
    ("recordsize", "f", Some("131072")),
    ("mountpoint", "f", None),
    ("sharenfs", "f", Some("off")),
    ("checksum", "fv", Some("on")),
    ("compression", "fv", Some("on")),
    ("atime", "f", Some("on")),
    ("devices", "fs", Some("on")),
    ("exec", "fs", Some("on")),
    ("setuid", "fs", Some("on")),
    ("readonly", "fv", Some("off")),
    ("zoned", "f", Some("off")),
    ("snapdir", "f", Some("hidden")),
    ("aclmode", "f", Some("discard")),
    ("aclinherit", "f", Some("restricted")),
    ("createtxg", "fvswb", None),
    ("canmount", "f", Some("on")),
    ("xattr", "fs", Some("on")),
    ("copies", "fv", Some("1")),
    ("version", "fs", None),
    ("utf8only", "fs", None),
    ("normalization", "fs", None),
    ("casesensitivity", "fs", None),
    ("vscan", "f", Some("off")),
    ("nbmand", "fs", Some("off")),
    ("sharesmb", "f", Some("off")),
    ("refquota", "f", Some("0")),
    ("refreservation", "fv", Some("0")),
    ("guid", "fvswb", None),
    ("primarycache", "fvsw", Some("all")),
    ("secondarycache", "fvsw", Some("all")),
    ("usedbysnapshots", "fv", None),
    ("usedbydataset", "fv", None),
    ("usedbychildren", "fv", None),
    ("usedbyrefreservation", "fv", None),
    ("defer_destroy", "sw", None),
    ("userrefs", "sw", None),
    ("logbias", "fv", Some("latency")),
    ("objsetid", "fvsw", None),
    ("dedup", "fv", Some("off")),
    ("mlslabel", "fvsw", Some("none")),
    ("sync", "fv", Some("standard")),
    ("dnodesize", "f", Some("legacy")),
    ("refcompressratio", "fvsw", None),
    ("written", "fvsw", None),
    ("clones", "sw", None),
    ("logicalused", "fv", None),
    ("logicalreferenced", "fvswb", None),
    ("volmode", "fv", Some("default")),
    ("filesystem_limit", "f", Some("none")),
    ("snapshot_limit", "fv", Some("none")),
    ("filesystem_count", "f", Some("none")),
    ("snapshot_count", "fv", Some("none")),
    ("snapdev", "fv", Some("hidden")),
    ("acltype", "fs", Some("off")),
    ("context", "fvsw", Some("none")),
    ("fscontext", "fvsw", Some("none")),
    ("defcontext", "fvsw", Some("none")),
    ("rootcontext", "fvsw", Some("none")),
    ("relatime", "f", Some("on")),
    ("redundant_metadata", "fv", Some("all")),
    ("overlay", "f", Some("on")),
    ("receive_resume_token", "fv", None),
    ("encryption", "fvsw", Some("off")),
    ("keylocation", "fv", Some("none")),
    ("keyformat", "fv", Some("none")),
    ("pbkdf2iters", "fv", Some("0")),
    ("encryptionroot", "fvsw", None),
    ("keystatus", "fvsw", None),
    ("special_small_blocks", "f", Some("0")),
    ("snapshots_changed", "fv", None),
    ("prefetch", "fvsw", Some("all")),
    ("direct", "f", Some("standard")),
    ("volthreading", "v", Some("on")),
    ("longname", "f", Some("off")),
];

/// Known, but not among `zfs get all`.
const HIDDEN: &[(&str, &str, Option<&str>)] =
    &[("name", "fvswb", None), ("inconsistent", "fvsw", None)];

/// A native property.
#[derive(Clone, Copy)]
pub(crate) struct Native {
    pub(crate) name: &'static str,
    scope: &'static str,
    /// What it is where nobody set it; none for what is worked out.
    pub(crate) default: Option<&'static str>,
}

impl Native {
    /// The property of that name, or of a common short form of it.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let name = match name {
            "avail" => "available",
            "compress" => "compression",
            "enc" => "encryption",
            "lrefer" => "logicalreferenced",
            "lused" => "logicalused",
            "ratio" => "compressratio",
            "rdonly" => "readonly",
            "recsize" => "recordsize",
            "refer" => "referenced",
            "refreserv" => "refreservation",
            "reserv" => "reservation",
            "volblock" => "volblocksize",
            other => other,
        };
        CATALOGUE.iter().chain(HIDDEN).find(|(known, ..)| *known == name).map(Self::from_row)
    }

    /// All of `zfs get all`, in its order.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        CATALOGUE.iter().map(Self::from_row)
    }

    fn from_row(
        &(name, scope, default): &(&'static str, &'static str, Option<&'static str>),
    ) -> Self {
        Self { name, scope, default }
    }

    /// Whether it exists on that scope's kind of thing.
    pub(crate) fn applies(self, scope: char) -> bool {
        self.scope.contains(scope)
    }

    /// Its row of the usage text: EDIT, INHERIT, VALUES.
    fn row(self) -> (&'static str, &'static str, &'static str) {
        let row = usage::property_table().lines().find_map(|line| {
            let rest = line.strip_prefix('\t')?.strip_prefix(self.name)?.strip_prefix(' ')?;
            let (edit, rest) = rest.trim_start().split_once(' ')?;
            let (inherit, values) = rest.trim_start().split_once(' ')?;
            Some((edit, inherit, values.trim_start()))
        });
        row.unwrap_or(("NO", "NO", ""))
    }

    /// Whether it can be set at all.
    pub(crate) fn is_editable(self) -> bool {
        self.row().0 == "YES"
    }

    /// Whether children take it over.
    pub(crate) fn is_inherited(self) -> bool {
        self.row().1 == "YES"
    }

    /// What may be set, as the usage text and the error messages say it.
    pub(crate) fn values(self) -> &'static str {
        self.row().2
    }
}
