//! `api-guard schema`: the JSON Schema (2020-12) of the configuration, derived from the types that read it.

use api_guard_core::config::raw::RawConfig;

use crate::outcome::{self, Failure, Outcome, print};

/// Print the JSON Schema of the plugin configuration.
///
/// It lists the fields and the values they take. `api-guard check` also finds what a schema cannot express, such as
/// settings that contradict each other.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  api-guard schema > api-guard.schema.json")]
pub(crate) struct Schema {}

impl Schema {
    /// Prints the schema.
    pub(crate) fn run(&self) -> outcome::Result {
        let mut schema = serde_json::Value::from(schemars::schema_for!(RawConfig));
        without_null_defaults(&mut schema);
        let text = serde_json::to_string_pretty(&schema)
            .map_err(|error| Failure::failed(format!("the schema cannot be printed: {error}")))?;
        print(&text);
        Ok(Outcome::Done)
    }
}

/// Removes null defaults: schemars writes them for fields that have no default.
fn without_null_defaults(schema: &mut serde_json::Value) {
    if let Some(members) = schema.as_object_mut() {
        members.retain(|name, value| name != "default" || !value.is_null());
        members.values_mut().for_each(without_null_defaults);
    }
    schema.as_array_mut().into_iter().flatten().for_each(without_null_defaults);
}
