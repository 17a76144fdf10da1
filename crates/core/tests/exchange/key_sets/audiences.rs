//! One issuer with a set for each audience: a token waits for the set of its audience, whatever another one has.

use super::*;

const WEB: KeySetIndex = KeySetIndex::new(0);
const MOBILE: KeySetIndex = KeySetIndex::new(1);

fn world() -> World {
    let set = |name: &str| {
        json!({
            "name": name, "issuers": [ISSUER], "audiences": [name], "min_refetch_seconds": 10,
            "jwks": { "cluster": "idp", "path": format!("/{name}.json"), "authority": "login.example.com" },
        })
    };
    World::with(json!({ "tokens": { "keys": [], "key_sets": [set("web"), set("mobile")] } }))
}

fn token_for(audience: &str, number: u8) -> String {
    let mut claims = claims();
    claims["aud"] = json!(audience);
    IssuerKey::es256(number).token(Some(&number.to_string()), &claims)
}

impl World {
    fn bring_to(&self, set: KeySetIndex, numbers: &[u8], milliseconds: u64) {
        let mut host = Stream::new(&self.process);
        let keys = keys(numbers);
        let response = Response::Complete { status: 200, body: keys.as_bytes() };
        self.engine.on_fetched(set, response, &mut host, at(milliseconds));
    }

    /// A request of which a fetch begins: its stream.
    fn fetches(&self, token: &str, set: KeySetIndex, milliseconds: u64) -> Watched<'_> {
        let (stream, flow) = self.send(token, milliseconds);
        assert_eq!((flow, stream.decided.as_slice()), (Flow::Pause, &[][..]));
        let fetched = |done: &&Done| matches!(done, Done::Fetched(_));
        let fetched: Vec<&Done> = stream.host.done.iter().filter(fetched).collect();
        assert_eq!(fetched, [&Done::Fetched(set)]);
        stream
    }
}

#[test]
fn before_the_first_set_of_its_audience_a_token_hears_503() {
    let world = world();
    assert_eq!(world.tick(0), [Done::Fetched(WEB), Done::Fetched(MOBILE)]);
    world.bring_to(WEB, &[1], 0);
    assert_eq!(world.decided(&token_for("web", 1), 1), [Decided::Allowed]);
    assert_eq!(world.decided(&token_for("mobile", 1), 1), [Decided::Refused(Code::KeysUnavailable)]);
    // No set is for this one.
    assert_eq!(world.decided(&token_for("other", 1), 1), [Decided::Refused(Code::AudienceRefused)]);
    world.bring_to(MOBILE, &[1], 2);
    assert_eq!(world.decided(&token_for("mobile", 1), 3), [Decided::Allowed]);
}

#[test]
fn after_a_rotation_the_set_of_the_token_s_audience_is_fetched() {
    for others_first in [false, true] {
        let world = world();
        world.tick(0);
        world.bring_to(WEB, &[1], 0);
        world.bring_to(MOBILE, &[1], 0);
        if others_first {
            let mut stream = world.fetches(&token_for("web", 2), WEB, 20_000);
            world.bring_to(WEB, &[1, 2], 20_100);
            stream.tick(at(20_101));
            assert_eq!(stream.decided, [Decided::Allowed]);
        }
        let mut stream = world.fetches(&token_for("mobile", 2), MOBILE, 20_200);
        world.bring_to(MOBILE, &[1, 2], 20_300);
        stream.tick(at(20_301));
        assert_eq!(stream.decided, [Decided::Allowed]);
    }
}
