//! The schemas in `docs`: made from the types, and strict.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use vidgist::report::{Format, render};

use crate::support::{documents, sample, snapshot};

#[test]
fn the_schemas_are_up_to_date() {
    for (name, schema) in vidgist::report::schema::all() {
        let text = format!("{schema:#}\n");
        let command = "VIDGIST_UPDATE_SNAPSHOTS=1 cargo nextest run -E 'test(the_schemas_are_up_to_date)'";
        snapshot::check_file(&format!("docs/{name}.schema.json"), &text, command);
    }
}

/// The keys of a schema below a path, arrays as `[]`, and whether each may be absent from its object.
fn keys(root: &Value, schema: &Value, at: &str, found: &mut BTreeMap<String, bool>) {
    if at == "media.parts[].media" {
        // A part of a joined recording has the keys of the whole.
        return;
    }
    if let Some(name) = schema["$ref"].as_str() {
        keys(root, root.pointer(name.trim_start_matches('#')).expect("a definition"), at, found);
    }
    for one in ["oneOf", "anyOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten() {
        keys(root, one, at, found);
    }
    if schema["items"].is_object() {
        keys(root, &schema["items"], &format!("{at}[]"), found);
    }
    let required: Vec<&Value> = schema["required"].as_array().into_iter().flatten().collect();
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        *found.entry(path.clone()).or_default() |= !required.iter().any(|name| *name == key);
        keys(root, value, &path, found);
    }
}

#[test]
fn the_schema_of_reports_has_the_documented_keys() {
    let schemas = vidgist::report::schema::all();
    let (_, schema) = schemas.iter().find(|(name, _)| *name == "report").expect("its schema");
    let mut found = BTreeMap::new();
    keys(schema, schema, "", &mut found);
    let docs = include_str!("../../docs/output.md").split("\n## JSON Schemas").next().expect("a first part");
    let rows = docs.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let rows: BTreeMap<&str, &str> = rows.collect();
    let (in_schema, in_docs): (BTreeSet<&str>, BTreeSet<&str>) =
        (found.keys().map(String::as_str).collect(), rows.keys().copied().collect());
    assert_eq!(in_schema.symmetric_difference(&in_docs).collect::<Vec<_>>(), [&""; 0]);
    let optional = found.iter().filter(|(_, may_be_absent)| **may_be_absent).map(|(key, _)| key.as_str());
    let silent: Vec<&str> = optional.filter(|key| !rows[key].to_lowercase().contains("absent")).collect();
    assert_eq!(silent, [""; 0], "docs/output.md says where a key is absent");
}

/// Each place of a document, with a surplus key, or another value, in it.
fn altered(document: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut places = vec![String::new()];
    while let Some(place) = places.pop() {
        let mut values = vec![json!({"surplus": 1}), json!([[]]), json!(-0.5)];
        match document.pointer(&place).expect("a place") {
            Value::Object(map) => {
                let mut with_more = map.clone();
                with_more.insert("surplus".into(), json!(1));
                values.push(with_more.into());
                places.extend(map.keys().map(|key| format!("{place}/{key}")));
            }
            Value::Array(several) => places.extend((0..several.len()).map(|at| format!("{place}/{at}"))),
            _ => {}
        }
        for value in values {
            let mut other = document.clone();
            *other.pointer_mut(&place).expect("a place") = value.clone();
            found.push((format!("{place} as {value}"), other));
        }
    }
    found
}

#[test]
fn a_report_with_other_keys_or_values_is_refused() {
    let report: Value = serde_json::from_str(&render(&sample::report(), Format::Json).expect("text")).expect("JSON");
    documents::check("report", &report);
    let validator = documents::validator("report");
    let accepted = altered(&report).into_iter().filter(|(_, other)| validator.is_valid(other));
    // Times and measures may be any number.
    let accepted: Vec<String> = accepted.map(|(what, _)| what).filter(|what| !what.ends_with(" as -0.5")).collect();
    assert_eq!(accepted, [""; 0]);
    for (at, wrong) in [
        ("/schema_version", json!(2)),
        ("/status", json!("done")),
        ("/media/video/0/rotation", json!("45")),
        ("/media/video/0/time_base", json!("1/0")),
        ("/media/size_bytes", json!(-1)),
        ("/frames/0/part", json!(null)),
        ("/frames/0/reason", json!("chance")),
        ("/transcript/state", json!("no_speech")),
        ("/transcript/levels", json!(null)),
        ("/answer/choices/0/finish", json!({"other": null})),
        ("/answer/choices/1/sentences/0/verdict", json!("true")),
        ("/total/cost_usd", json!(-0.5)),
    ] {
        let mut other = report.clone();
        if let Some(value) = other.pointer_mut(at) {
            *value = wrong;
        } else {
            let (object, key) = at.rsplit_once('/').expect("a place");
            other.pointer_mut(object).expect(at)[key] = wrong;
        }
        assert!(!validator.is_valid(&other), "{at}");
    }
    for (object, key) in [("", "missing"), ("/media", "title"), ("/frames/0", "speech"), ("/answer", "usage")] {
        let mut other = report.clone();
        other.pointer_mut(object).expect(object).as_object_mut().expect("an object").remove(key).expect(key);
        assert!(!validator.is_valid(&other), "{object}/{key}");
    }
}
