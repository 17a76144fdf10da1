//! A guard with a host in memory, which judges requests as Envoy would: head, body, and the revocation endpoint.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use api_guard_core::cells::{CellFault, MemoryCells};
use api_guard_core::denial::Denial;
use api_guard_core::effect::{self, Reply};
use api_guard_core::guard::{Guard, Memory, Revoked};
use api_guard_core::host::Host;
use api_guard_core::index::KeySetIndex;
use api_guard_core::policy::Policy;
use api_guard_core::request::Request;
use api_guard_core::time::UnixNanos;
use api_guard_core::token::current::CurrentSets;
use api_guard_core::token::key_set::KeySet;
use api_guard_core::token::native::NativeSignatures;
use api_guard_core::token::signature::{SignatureCheck, SignatureFault, SignatureHost};
use api_guard_core::verdict::{Destination, Verdict};

/// The host that replaces Envoy.
struct Machine {
    cells: MemoryCells,
    address: String,
}

impl SignatureHost for Machine {
    fn verify_signature(&self, check: &SignatureCheck<'_>) -> Result<bool, SignatureFault> {
        NativeSignatures.verify_signature(check)
    }
}

impl Host for Machine {
    type Cells = MemoryCells;
    type Bytes = Vec<u8>;

    fn cells(&self) -> &MemoryCells {
        &self.cells
    }

    fn peer_address(&self) -> Option<Vec<u8>> {
        Some(self.address.clone().into_bytes())
    }
}

/// A guard as it is after a start: nothing has been counted or revoked.
pub struct Bench {
    guard: Guard,
    memory: Memory,
    machine: Machine,
    /// The key sets in force that would be fetched.
    sets: Vec<(KeySetIndex, Arc<KeySet>)>,
    random: [u8; 16],
}

/// A request that was judged to its end.
pub struct Judged {
    /// The guard's verdict on the head of the request.
    pub verdict: Verdict,
    /// Why the body of the admitted request is refused, if it is.
    bad_body: Option<Denial>,
    /// The revocation endpoint's answer, if the request was admitted to it.
    revoked: Option<Result<Revoked, Denial>>,
}

impl Bench {
    /// A guard whose clients have this address. It judges as if the store of a fleet had answered, and as if nobody else asked it:
    /// one Envoy alone counts what they all count together. `cells`: what has been counted and revoked; `random`: bytes that
    /// nobody else knows.
    ///
    /// # Errors
    ///
    /// The cells cannot be opened.
    pub fn new(
        policy: Policy,
        client: IpAddr,
        cells: MemoryCells,
        random: [u8; 16],
    ) -> Result<Self, CellFault> {
        let guard = Guard::new(policy.without_fleet());
        let machine = Machine { cells, address: source_address(client) };
        let memory = Memory::open(guard.policy(), &machine.cells, random)?;
        Ok(Self { guard, memory, machine, sets: Vec::new(), random })
    }

    /// What has been counted and revoked, for another guard.
    pub fn into_cells(self) -> MemoryCells {
        self.machine.cells
    }

    /// What has been counted and revoked.
    pub const fn cells(&self) -> &MemoryCells {
        &self.machine.cells
    }

    /// From now on the clients have another address.
    pub fn set_client(&mut self, client: IpAddr) {
        self.machine.address = source_address(client);
    }

    /// Puts key sets in force, as a fetch would.
    pub fn put_key_sets(&mut self, sets: Vec<(KeySetIndex, Arc<KeySet>)>) {
        for (index, set) in &sets {
            self.memory.put_key_set(*index, Arc::clone(set));
        }
        self.sets = sets;
    }

    /// The key sets that are known.
    pub fn current_sets(&self) -> CurrentSets {
        let mut current = CurrentSets::configured(self.policy().tokens().keys());
        for (index, set) in &self.sets {
            current.put(*index, Arc::clone(set), UnixNanos::from_nanos(u64::MAX));
        }
        current
    }

    /// The policy by which it judges.
    pub fn policy(&self) -> &Policy {
        self.guard.policy()
    }

    /// Judges the head of a request.
    pub fn admit(&mut self, request: &Request<'_>, now: UnixNanos) -> Verdict {
        self.guard.admit(&mut self.memory, request, &self.machine, now)
    }

    /// Judges a request with its body.
    pub fn judge(&mut self, request: &Request<'_>, body: Option<&str>, now: UnixNanos) -> Judged {
        let mut verdict = self.admit(request, now);
        let bad_body = judge_body(&mut verdict, body);
        let revoked = match bad_body {
            Some(_) => None,
            None => self.revoke(&verdict, body.unwrap_or_default(), now),
        };
        if matches!(revoked, Some(Err(_))) {
            verdict.trail.revocation_refused();
        }
        Judged { verdict, bad_body, revoked }
    }

    /// Judges a request with its body, and leaves counters and revocations as they were.
    ///
    /// # Errors
    ///
    /// The cells cannot be opened.
    pub fn try_out(
        &mut self,
        request: &Request<'_>,
        body: Option<&str>,
        now: UnixNanos,
    ) -> Result<Judged, CellFault> {
        let cells = self.machine.cells.clone();
        let memory = self.open(&cells)?.with_leases_of(&self.memory);
        let memory = std::mem::replace(&mut self.memory, memory);
        let cells = std::mem::replace(&mut self.machine.cells, cells);
        let judged = self.judge(request, body, now);
        (self.memory, self.machine.cells) = (memory, cells);
        Ok(judged)
    }

    /// What a worker knows that has just begun.
    fn open(&self, cells: &MemoryCells) -> Result<Memory, CellFault> {
        let mut memory = Memory::open(self.guard.policy(), cells, self.random)?;
        for (index, set) in &self.sets {
            memory.put_key_set(*index, Arc::clone(set));
        }
        Ok(memory)
    }

    /// The revocation endpoint's answer, if the request is admitted to it.
    fn revoke(&mut self, verdict: &Verdict, body: &str, now: UnixNanos) -> Option<Result<Revoked, Denial>> {
        let grant = verdict.grant()?;
        if grant.destination() != Destination::RevocationEndpoint {
            return None;
        }
        let identity = grant.identity()?;
        Some(self.guard.revoke(&mut self.memory, identity, body.as_bytes(), now, &self.machine, now))
    }
}

impl Judged {
    /// The refusal that is carried out.
    pub fn denial(&self) -> Option<&Denial> {
        let late = self.revoked.as_ref().and_then(|answer| answer.as_ref().err());
        self.verdict.denial().or(self.bad_body.as_ref()).or(late)
    }

    /// The response from api-guard itself, if there is one.
    pub fn reply(&self, policy: &Policy, request: &Request<'_>) -> Option<Reply> {
        match (&self.revoked, self.denial()) {
            (_, Some(denial)) => Some(effect::refuse(policy, denial, request.request_id)),
            (Some(Ok(done)), None) => Some(effect::revoked(policy, *done, &self.verdict.trail)),
            (Some(Err(_)) | None, None) => None,
        }
    }
}

/// Why the body of an admitted request is refused, if it is; in report mode that is only noted.
fn judge_body(verdict: &mut Verdict, body: Option<&str>) -> Option<Denial> {
    let grant = verdict.grant()?;
    let denial = grant.judge_body(body?.as_bytes()).err()?;
    let enforces = grant.enforces();
    verdict.trail.body_refused(enforces);
    if enforces {
        return Some(denial);
    }
    verdict.reported.get_or_insert(denial);
    None
}

/// The address as Envoy writes it, with a port.
fn source_address(address: IpAddr) -> String {
    SocketAddr::new(address, 0).to_string()
}
