//! Reads a text into trees.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError};

use super::{Content, Key, Malformed, Mark, Node};

/// No configuration is deeper, or larger once its aliases are followed.
const DEEPEST: usize = 200;
const MOST_NODES: usize = 1_000_000;

/// The documents of a text.
///
/// # Errors
///
/// Why it is not YAML, and where.
pub fn read(text: &str) -> Result<Vec<Node>, Malformed> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| malformed(&error))?;
        builder.take(event, Mark::of(span.start))?;
    }
    Ok(builder.documents)
}

fn malformed(error: &ScanError) -> Malformed {
    Malformed { mark: Mark::of(*error.marker()), problem: error.info().to_owned() }
}

#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

/// A list or an object that has not ended.
struct Open {
    mark: Mark,
    anchor: usize,
    filling: Filling,
}

enum Filling {
    List(Vec<Node>),
    Map(Vec<(Key, Node)>, Option<Key>),
}

impl Builder {
    fn take(&mut self, event: Event<'_>, mark: Mark) -> Result<(), Malformed> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let content = Content::Scalar { text: text.into_owned(), plain };
                self.finish(Node { mark, content }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(mark, anchor, Filling::List(Vec::new())),
            Event::MappingStart(anchor, _) => self.begin(mark, anchor, Filling::Map(Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { mark, anchor, filling }) => {
                    let content = match filling {
                        Filling::List(items) => Content::List(items),
                        Filling::Map(members, _) => Content::Map(members),
                    };
                    self.finish(Node { mark, content }, anchor)
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let Some(mut node) = self.anchors.get(&anchor).cloned() else {
                    return Err(Malformed { mark, problem: "an alias of nothing".to_owned() });
                };
                self.nodes = self.nodes.saturating_add(node.size());
                // A text is where it is written, so that it can be hidden there.
                if node.text().is_none() {
                    node.mark = mark;
                }
                self.finish(node, 0)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin(&mut self, mark: Mark, anchor: usize, filling: Filling) -> Result<(), Malformed> {
        self.open.push(Open { mark, anchor, filling });
        if self.open.len() > DEEPEST {
            return Err(Malformed { mark, problem: "nested too deep".to_owned() });
        }
        Ok(())
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Malformed> {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > MOST_NODES {
            return Err(Malformed { mark: node.mark, problem: "too large".to_owned() });
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.filling) {
            None => self.documents.push(node),
            Some(Filling::List(items)) => items.push(node),
            Some(Filling::Map(members, key)) => match key.take() {
                Some(name) => members.push((name, node)),
                None => {
                    let name = node.text().unwrap_or_default().to_owned();
                    *key = Some(Key { name, mark: node.mark });
                }
            },
        }
        Ok(())
    }
}
