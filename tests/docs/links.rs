//! Links within the repository lead somewhere: the file exists, and the heading too.

use std::path::Path;

use crate::documents::{Document, documents, prose};

/// What links call the headings of a document.
pub(crate) fn headings(document: &str) -> Vec<String> {
    let text = prose(document);
    let titles = text.lines().filter(|line| line.starts_with('#'));
    titles
        .map(|title| {
            let words = title.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            words
                .chars()
                .filter(|letter| letter.is_alphanumeric() || *letter == '-' || *letter == '_')
                .collect()
        })
        .collect()
}

fn links(document: &Document) -> Vec<String> {
    let text = prose(&document.text);
    text.split("](").skip(1).map(|after| after.split(')').next().unwrap().to_owned()).collect()
}

#[test]
fn every_file_and_heading_that_is_linked_exists() {
    let mut followed = 0;
    for document in documents() {
        let name = &document.name;
        for link in links(&document).iter().filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
            let path = if file.is_empty() { path } else { path.parent().unwrap().join(file) };
            assert!(path.exists(), "{name} links {link}");
            if !heading.is_empty() {
                let linked = std::fs::read_to_string(path).unwrap();
                assert!(headings(&linked).contains(&heading.to_owned()), "{name} links {link}");
            }
            followed += 1;
        }
    }
    assert!(followed >= 50, "{followed} links");
}

#[test]
fn no_two_headings_of_a_document_have_the_same_name() {
    // Each version of the changelog has the same headings, and nobody links them.
    for document in documents().into_iter().filter(|document| document.name != "CHANGELOG.md") {
        let mut names = headings(&document.text);
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "{}", document.name);
    }
}

#[test]
fn the_readme_lists_every_page() {
    let documents = documents();
    let readme = documents.iter().find(|document| document.name == "README.md").unwrap();
    let linked = links(readme);
    for document in &documents {
        assert!(
            document.name == "README.md" || linked.contains(&document.name),
            "the README does not link {}",
            document.name
        );
    }
}
