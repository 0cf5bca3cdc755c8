//! Properties that nobody sets: what the pool knows or counts.

use anyhow::Result;

use super::{Native, View};
use crate::state::{Dataset, Node};
use crate::token;

impl View<'_> {
    pub(super) fn computed(&self, on: &str, node: &Node, native: Native) -> Result<Option<String>> {
        let text = match native.name {
            "name" => on.to_owned(),
            "type" => node.kind().to_owned(),
            "guid" => node.guid().to_string(),
            "createtxg" => node.createtxg().to_string(),
            "creation" => node.creation().to_string(),
            "compressratio" | "refcompressratio" => "1.00".to_owned(),
            "version" => "5".to_owned(),
            "utf8only" | "defer_destroy" => "off".to_owned(),
            "normalization" => "none".to_owned(),
            "casesensitivity" => "sensitive".to_owned(),
            _ => return self.of_its_kind(on, node, native.name),
        };
        Ok(Some(text))
    }

    fn of_its_kind(&self, on: &str, node: &Node, property: &str) -> Result<Option<String>> {
        match node {
            Node::Dataset(dataset) => self.of_dataset(on, dataset, property),
            Node::Snapshot(snapshot) => Ok(match property {
                "used" => Some(0),
                "inconsistent" => Some(0),
                "referenced" | "logicalreferenced" => Some(snapshot.referenced),
                "written" => Some(snapshot.written),
                "userrefs" => Some(snapshot.holds.len() as u64),
                "objsetid" => Some(snapshot.id),
                _ => None,
            }
            .map(|number| number.to_string())),
            Node::Bookmark(bookmark) => {
                let referenced = matches!(property, "referenced" | "logicalreferenced");
                Ok(referenced.then(|| bookmark.referenced.to_string()))
            }
        }
    }

    fn of_dataset(&self, on: &str, dataset: &Dataset, property: &str) -> Result<Option<String>> {
        let text = match property {
            "mounted" => if dataset.mounted { "yes" } else { "no" }.to_owned(),
            "objsetid" => dataset.id.to_string(),
            "inconsistent" => u8::from(dataset.is_inconsistent()).to_string(),
            "receive_resume_token" => return self.resume_token(dataset),
            "snapshots_changed" => {
                let newest = self.pool.snapshots(on).pop();
                return Ok(
                    newest.and_then(|newest| Some(self.pool.get(&newest)?.creation().to_string()))
                );
            }
            _ => {
                let Some(size) = self.sizes()?.of_dataset(on) else { return Ok(None) };
                let bytes = match property {
                    "used" | "logicalused" => size.used,
                    "available" => self.sizes()?.available(self.pool, on),
                    "referenced" | "logicalreferenced" | "usedbydataset" => size.referenced,
                    "usedbysnapshots" => 0,
                    "usedbyrefreservation" => size.reserved,
                    "usedbychildren" => size.used - size.referenced - size.reserved,
                    "written" => self.sizes()?.written(self.pool, on, dataset)?,
                    _ => return Ok(None),
                };
                bytes.to_string()
            }
        };
        Ok(Some(text))
    }

    fn resume_token(&self, dataset: &Dataset) -> Result<Option<String>> {
        let Some(receiving) = dataset.receiving.as_ref().filter(|receiving| receiving.resumable)
        else {
            return Ok(None);
        };
        let progress = self.pool.progress(receiving.id);
        if progress.object == 0 {
            return Ok(None);
        }
        token::encode(receiving, progress).map(Some)
    }
}
