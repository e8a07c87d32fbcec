//! How the types that are written as text look to those who check objects before this crate reads them.

use crate::{Cause, Phase, Promotion, Release, Rollback, Stage, Url};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// A [`split::Weight`] as text or as a number.
pub(crate) struct Percent;

impl JsonSchema for Percent {
    fn schema_name() -> Cow<'static, str> {
        "Percent".into()
    }

    fn inline_schema() -> bool {
        true
    }

    /// `x-kubernetes-int-or-string` is how Kubernetes writes "text or a number"; other readers ignore it.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "pattern": r"^(100(\.0{1,2})?|[0-9]{1,2}(\.[0-9]{1,2})?)%?$",
            "maxLength": 8,
            "minimum": 0,
            "maximum": 100,
        })
    }
}

impl JsonSchema for Url {
    fn schema_name() -> Cow<'static, str> {
        "Url".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^https?://[^@/?#]+([/?][^#]*)?$", "maxLength": 2048})
    }
}

impl JsonSchema for Phase {
    fn schema_name() -> Cow<'static, str> {
        "Phase".into()
    }

    fn inline_schema() -> bool {
        true
    }

    /// Kubernetes wants one shape whatever the phase is, so that every field of every phase is there once.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names = ["Initializing", "Stable", "Progressing", "Promoting", "RollingBack", "Failed"];
        let tasks = [names_of::<Promotion>(generator), names_of::<Rollback>(generator)].concat();
        json_schema!({
            "type": "object",
            "properties": {
                "phase": {"type": "string", "enum": names, "description": "Where the workload is."},
                "release": generator.subschema_for::<Release>(),
                "stage": generator.subschema_for::<Stage>(),
                "task": {
                    "type": "string",
                    "enum": tasks.into_iter().collect::<std::collections::BTreeSet<_>>(),
                    "description": "What the promotion or the way back is at.",
                },
                "cause": generator.subschema_for::<Cause>(),
            },
        })
    }
}

/// The names of an enum without content.
fn names_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Vec<String> {
    let schema = T::json_schema(generator);
    let variants = schema.get("oneOf").and_then(|variants| variants.as_array());
    variants
        .into_iter()
        .flatten()
        .filter_map(|variant| variant.get("const")?.as_str().map(str::to_owned))
        .collect()
}
