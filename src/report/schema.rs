//! The JSON Schemas of what is written (docs/schema), made from the types: only for tests, so that they cost the program
//! nothing.

use std::borrow::Cow;
use std::path::Path;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{Analysis, FailureReport, Failures, TimelineEntry};

impl JsonSchema for Failures {
    fn schema_name() -> Cow<'static, str> {
        "Failures".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<FailureReport>::json_schema(generator)
    }
}

/// The schema of a type as it is written, draft 2020-12. Fields that are always there are required, though they may be null.
fn schema<T: JsonSchema>() -> String {
    let schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
    serde_json::to_string_pretty(&schema).expect("a schema") + "\n"
}

/// `HOLDTRACE_UPDATE_DOCS=1` writes them instead.
#[test]
fn the_schemas_in_docs_are_those_of_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
    let schemas = [
        ("report.json", schema::<Analysis>()),
        ("failure.json", schema::<FailureReport>()),
        ("timeline-entry.json", schema::<TimelineEntry>()),
    ];
    for (name, text) in schemas {
        let path = folder.join(name);
        if std::env::var_os("HOLDTRACE_UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(&folder).expect("a folder");
            std::fs::write(path, text).expect("written");
        } else {
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(found, text, "{name}: set HOLDTRACE_UPDATE_DOCS=1 to write it");
        }
    }
}
