//! `api-guard schema`: the JSON Schema (2020-12) of the configuration, derived from the types that read it.

use api_guard_core::config::raw::RawConfig;
use serde_json::{Value, json};

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
        let schema = schema();
        let text = serde_json::to_string_pretty(&schema)
            .map_err(|error| Failure::failed(format!("the schema cannot be printed: {error}")))?;
        print(&text);
        Ok(Outcome::Done)
    }
}

/// The schema, with defaults, and descriptions without the sources' markup.
pub(crate) fn schema() -> Value {
    let mut schema = Value::from(schemars::schema_for!(RawConfig));
    without_null_defaults(&mut schema);
    with_named_defaults(&mut schema);
    without_markup(&mut schema);
    if let Some(fields) = schema.pointer_mut("/properties").and_then(Value::as_object_mut) {
        let description = "Where editors find this schema. It says nothing to the guard.";
        fields.insert("$schema".to_owned(), json!({ "description": description }));
    }
    schema
}

/// Removes null defaults: schemars writes them for fields that have no default.
fn without_null_defaults(schema: &mut Value) {
    if let Some(members) = schema.as_object_mut() {
        members.retain(|name, value| name != "default" || !value.is_null());
        members.values_mut().for_each(without_null_defaults);
    }
    schema.as_array_mut().into_iter().flatten().for_each(without_null_defaults);
}

/// Defaults that schemars does not write, because the type does not say how it is written: the value is one of a list of
/// names, or an object. docs/configuration.md has them too, and tests hold those to the parser.
const DEFAULTS: [(&str, &str); 27] = [
    ("/properties/mode", r#""enforce""#),
    ("/properties/request", "{}"),
    ("/properties/routes", "[]"),
    ("/properties/unmatched_routes", r#""authenticated""#),
    ("/properties/rate_limits", r#"[{ "name": "default", "max_requests": 100, "window_seconds": 60 }]"#),
    ("/properties/client_ip", "{}"),
    ("/properties/revocation", "{}"),
    ("/properties/forward", "{}"),
    ("/properties/replies", "{}"),
    ("/$defs/RawClientIp/properties/from", r#""source_address""#),
    ("/$defs/RawForward/properties/filter_state", r#""refusals""#),
    ("/$defs/RawForward/properties/token", r#""keep""#),
    ("/$defs/RawLimit/properties/scope", r#""envoy""#),
    ("/$defs/RawLimit/properties/when_unreachable", r#""share""#),
    ("/$defs/RawSharedRevocations/properties/at_start", r#""refuse""#),
    ("/$defs/RawReplies/properties/detail", r#""full""#),
    ("/$defs/RawReplies/properties/rate_limit_headers", r#""draft""#),
    ("/$defs/RawRequest/properties/cors_preflight", r#""reject""#),
    ("/$defs/RawRequest/properties/method_override", r#""strip""#),
    ("/$defs/RawRequest/properties/path_case", r#""sensitive""#),
    ("/$defs/RawRequest/properties/rewrite_headers", r#""strip""#),
    ("/$defs/RawRevocation/properties/denied", "{}"),
    ("/$defs/RawRoute/properties/access", r#""authenticated""#),
    ("/$defs/RawRoute/properties/body", r#""hold""#),
    ("/$defs/RawTokens/properties/permission_format", r#""resource_action""#),
    ("/$defs/RawTokens/properties/sources", r#"[{ "header": "authorization", "scheme": "Bearer" }]"#),
    ("/$defs/RawTokens/properties/token_too_old", r#""warn""#),
];

fn with_named_defaults(schema: &mut Value) {
    for (pointer, default) in DEFAULTS {
        let field = schema.pointer_mut(pointer).and_then(Value::as_object_mut);
        if let (Some(field), Ok(default)) = (field, serde_json::from_str(default)) {
            field.entry("default").or_insert(default);
        }
    }
}

/// Descriptions are the sources' comments: links into the sources become their words, and code loses its marks.
fn without_markup(schema: &mut Value) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace("[`", "").replace("`]", "").replace('`', "");
    }
    let below = schema.as_object_mut().into_iter().flat_map(|members| members.values_mut());
    below.for_each(without_markup);
    schema.as_array_mut().into_iter().flatten().for_each(without_markup);
}
