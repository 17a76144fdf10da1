//! What Kubernetes and registries accept as names: object names (RFC 1123), images with digests, resources to attach to.

use crate::outcome::Failure;

/// The most letters of a label (RFC 1123 section 2.1).
const LABEL: usize = 63;
/// The most letters of a name with dots.
const SUBDOMAIN: usize = 253;
/// The hexadecimal digits of a SHA-256.
const DIGEST: usize = 64;

/// Refuses a value: names the option, the value, and what to write.
fn refuse(option: &str, value: &str, instead: &str) -> Failure {
    Failure::usage(format!("{option} {value:?}: {instead}"))
}

fn is_label(text: &str) -> bool {
    let inner = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let ends = [text.chars().next(), text.chars().next_back()];
    text.chars().all(inner) && ends.iter().all(|end| end.is_some_and(|letter| letter != '-'))
}

fn is_subdomain(text: &str) -> bool {
    text.len() <= SUBDOMAIN && text.split('.').all(is_label)
}

/// A name that Kubernetes accepts as a label: of an object, or of a namespace. `spare`: letters that are appended to it.
pub(super) fn label(option: &str, value: &str, spare: usize) -> Result<(), Failure> {
    let most = LABEL.saturating_sub(spare);
    if is_label(value) && value.len() <= most {
        return Ok(());
    }
    let instead = format!(
        "write 1 to {most} lower-case letters, digits and hyphens, with a letter or digit at both ends (RFC 1123), such \
         as api-guard"
    );
    Err(refuse(option, value, &instead))
}

/// A name that is a service's too, which must begin with a letter (RFC 1035).
pub(super) fn service(option: &str, value: &str, spare: usize) -> Result<(), Failure> {
    label(option, value, spare)?;
    if value.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Ok(());
    }
    Err(refuse(option, value, "a Service is called so too; begin with a letter, such as api-guard"))
}

/// The name of an object that the manifest refers to, of this kind.
pub(super) fn object(option: &str, kind: &str, value: &str) -> Result<(), Failure> {
    if is_subdomain(value) {
        return Ok(());
    }
    let instead = format!(
        "write the name of a {kind}: labels of lower-case letters, digits and hyphens with dots between them (RFC 1123), at \
         most 253 letters"
    );
    Err(refuse(option, value, &instead))
}

/// A SHA-256 in hexadecimal.
pub(super) fn sha256(option: &str, value: &str) -> Result<(), Failure> {
    if is_digest(value) {
        return Ok(());
    }
    Err(refuse(option, value, "write the 64 lower-case hexadecimal digits that sha256sum prints"))
}

fn is_digest(text: &str) -> bool {
    text.len() == DIGEST && text.chars().all(|digit| digit.is_ascii_digit() || ('a'..='f').contains(&digit))
}

/// An image, with or without registry, tag and digest; `oci://` in front of it is left to who reads it.
pub(super) fn image(option: &str, value: &str) -> Result<(), Failure> {
    const INSTEAD: &str =
        "write REGISTRY/NAME:TAG or REGISTRY/NAME@sha256: and the 64 hexadecimal digits of its digest";
    let bare = value.strip_prefix("oci://").unwrap_or(value);
    if let Some((scheme, rest)) = bare.split_once("://") {
        let is_url = ["http", "https", "file"].contains(&scheme) && rest.len() > 1;
        return if is_url { Ok(()) } else { Err(refuse(option, value, INSTEAD)) };
    }
    let (named, digest) = bare.split_once('@').map_or((bare, None), |(named, digest)| (named, Some(digest)));
    if let Some(digest) = digest
        && !digest.strip_prefix("sha256:").is_some_and(is_digest)
    {
        let why = format!("{digest:?} is no digest; {INSTEAD}");
        return Err(refuse(option, value, &why));
    }
    // A colon after the last slash begins the tag; one before it a port.
    let (path, tag) = match named.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        Some(_) | None => (named, None),
    };
    let part = |text: &str| {
        let plain =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "._-".contains(letter);
        !text.is_empty() && text.chars().all(plain)
    };
    let mut parts = path.split('/');
    let first = parts.next().unwrap_or_default();
    let host = |text: &str| {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || ".-:[]".contains(letter);
        !text.is_empty() && text.chars().all(plain)
    };
    let rest: Vec<&str> = parts.collect();
    let is_named =
        if rest.is_empty() { part(first) } else { host(first) && rest.iter().all(|text| part(text)) };
    let of_tag = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let is_tag = |tag: &str| (1..=128).contains(&tag.len()) && tag.chars().all(of_tag);
    if is_named && tag.is_none_or(is_tag) { Ok(()) } else { Err(refuse(option, value, INSTEAD)) }
}

/// What the guard is attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A resource, and perhaps one listener or rule of it.
    Resource { kind: Kind, name: String, section: Option<String> },
    /// All that have these labels.
    Labels(Vec<(String, String)>),
}

/// Kinds of resources that a guard can be attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gateway,
    GatewayClass,
    HttpRoute,
    GrpcRoute,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Gateway, Self::GatewayClass, Self::HttpRoute, Self::GrpcRoute];

    /// As the Gateway API spells it.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Gateway => "Gateway",
            Self::GatewayClass => "GatewayClass",
            Self::HttpRoute => "HTTPRoute",
            Self::GrpcRoute => "GRPCRoute",
        }
    }
}

impl Target {
    /// `KIND/NAME`, `KIND/NAME/SECTION`, or `LABEL=VALUE` with commas between several, perhaps after `selector/`.
    pub(super) fn parse(value: &str) -> Result<Self, Failure> {
        const INSTEAD: &str = "write KIND/NAME, such as Gateway/eg or HTTPRoute/orders (and /SECTION for one listener or \
                               rule of it), or labels as LABEL=VALUE, such as istio=ingressgateway";
        let refuse = |why: &str| refuse("--target", value, &format!("{why}{INSTEAD}"));
        let (before, after) = value.split_once('/').unwrap_or((value, ""));
        let is_selector = before.eq_ignore_ascii_case("selector") || before.eq_ignore_ascii_case("label");
        if is_selector || (value.contains('=') && !Kind::ALL.iter().any(|kind| kind.text() == before)) {
            let text = if is_selector { after } else { value };
            return labels(text).map(Self::Labels).ok_or_else(|| refuse(""));
        }
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.text().eq_ignore_ascii_case(before)) else {
            return Err(refuse(if after.is_empty() { "" } else { "the kind is none that can be guarded; " }));
        };
        let (name, section) =
            after.split_once('/').map_or((after, None), |(name, section)| (name, Some(section)));
        if !is_subdomain(name) || !section.is_none_or(is_subdomain) {
            return Err(refuse("the name is none that Kubernetes knows (RFC 1123); "));
        }
        Ok(Self::Resource { kind, name: name.to_owned(), section: section.map(str::to_owned) })
    }
}

fn labels(text: &str) -> Option<Vec<(String, String)>> {
    let word = |text: &str| {
        let inner = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        let ends = [text.chars().next(), text.chars().next_back()];
        let good_ends = ends.iter().all(|end| end.is_some_and(|letter| letter.is_ascii_alphanumeric()));
        text.len() <= LABEL && text.chars().all(inner) && good_ends
    };
    let key = |text: &str| match text.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && word(name),
        None => word(text),
    };
    let pair = |text: &str| {
        let (name, value) = text.split_once('=')?;
        (key(name) && word(value)).then(|| (name.to_owned(), value.to_owned()))
    };
    text.split(',').map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_rfc_1123() {
        let most = "a".repeat(LABEL);
        for good in ["a", "api-guard", "9lives", most.as_str()] {
            assert_eq!(label("--name", good, 0), Ok(()), "{good}");
        }
        let long = "a".repeat(LABEL + 1);
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", "ä", "a b", "a\n", long.as_str()] {
            let Err(Failure::Usage(text)) = label("--name", bad, 0) else { panic!("{bad}") };
            assert!(text.contains("--name") && text.contains(&format!("{bad:?}")) && text.contains("write"));
        }
        assert!(label("--name", &most, 1).is_err() && service("--name", "9lives", 0).is_err());
        assert!(object("--secret", "Secret", "a.b").is_ok() && object("--secret", "Secret", "a..b").is_err());
    }

    #[test]
    fn a_digest_has_64_digits() {
        let digest = "0123456789abcdef".repeat(4);
        assert!(sha256("--sha256", &digest).is_ok() && sha256("--sha256", &digest.to_uppercase()).is_err());
        for good in [
            "api-guard".to_owned(),
            "registry.example.com/api-guard:0.1.0".to_owned(),
            "localhost:5000/a/b".to_owned(),
            format!("oci://registry.example.com/a@sha256:{digest}"),
            format!("registry.example.com/a:1@sha256:{digest}"),
            "https://example.com/m.wasm".to_owned(),
            "file:///m.wasm".to_owned(),
        ] {
            assert_eq!(image("--image", &good), Ok(()), "{good}");
        }
        for bad in [
            "",
            ":1",
            "a:",
            "A/",
            "a//b",
            "a@sha256:12",
            "a@",
            "a@md5:0",
            "a b",
            "a/B",
            "ftp://a",
            "a:b c",
            "x/\"y",
        ] {
            assert!(matches!(image("--image", bad), Err(Failure::Usage(_))), "{bad}");
        }
    }

    #[test]
    fn a_target_is_a_resource_or_labels() {
        let resource = |kind, name: &str, section: Option<&str>| {
            Ok(Target::Resource { kind, name: name.to_owned(), section: section.map(str::to_owned) })
        };
        assert_eq!(Target::parse("Gateway/eg"), resource(Kind::Gateway, "eg", None));
        assert_eq!(Target::parse("gateway/eg/https"), resource(Kind::Gateway, "eg", Some("https")));
        assert_eq!(Target::parse("HTTPRoute/a.b"), resource(Kind::HttpRoute, "a.b", None));
        let one = Ok(Target::Labels(vec![("istio".to_owned(), "ingressgateway".to_owned())]));
        assert_eq!(Target::parse("istio=ingressgateway"), one);
        assert_eq!(Target::parse("selector/istio=ingressgateway"), one);
        let Ok(Target::Labels(two)) = Target::parse("gateway.networking.k8s.io/gateway-name=eg,a=b") else {
            panic!("labels")
        };
        assert_eq!(two.len(), 2);
        for bad in [
            "",
            "eg",
            "Gateway/",
            "/eg",
            "Pod/a",
            "Gateway/A",
            "Gateway/a/",
            "=",
            "a=",
            "=b",
            "a=b,",
            "a=b c",
        ] {
            assert!(matches!(Target::parse(bad), Err(Failure::Usage(_))), "{bad}");
        }
    }
}
