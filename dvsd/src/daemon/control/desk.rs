// SPDX-License-Identifier: GPL-3.0-or-later
//! What the daemon remembers on behalf of its clients: who they are, who answered, what happened lately.

use std::collections::{BTreeMap, VecDeque};

use dvs_proto::message::{ClientInfo, Role};
use dvsd::call::PastCall;
use dvsd::node::SessionStats;
use dvsd::path::Path;

/// Past calls kept in memory for the clients; the store keeps more.
const MAX_HISTORY: usize = 200;

/// Calls whose session is remembered, so that their figures outlive them.
const MAX_CARRIED: usize = 16;

/// The session of one call.
#[derive(Clone, Debug)]
struct Carried {
    /// Media packets sent before the call.
    before: u32,
    moves: Moves,
    stats: SessionStats,
}

/// How often a call has found another path to its peer, whichever session carried it.
#[derive(Clone, Copy, Debug)]
struct Moves {
    path: Path,
    times: u32,
}

impl Moves {
    const fn new(path: Path) -> Self {
        Self { path, times: 0 }
    }

    /// The path is this one now.
    fn note(&mut self, path: Path) {
        if self.path != path {
            *self = Self { path, times: self.times.saturating_add(1) };
        }
    }
}

/// This daemon's part in the overlay, as configured.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Part {
    /// What it does for others.
    pub(crate) role: Role,
    /// How many bootstrap nodes it was given.
    pub(crate) bootstrap: usize,
}

/// The clients and the recent past.
#[derive(Debug)]
pub(crate) struct Desk {
    /// Clients without a name yet, and their users.
    strangers: BTreeMap<u32, u32>,
    clients: BTreeMap<u32, ClientInfo>,
    answered_by: BTreeMap<u32, String>,
    carried: BTreeMap<u32, Carried>,
    history: VecDeque<PastCall>,
    part: Part,
}

impl Desk {
    /// Starts with the store's `history`, newest first.
    pub(crate) fn new(history: Vec<PastCall>, part: Part) -> Self {
        let history = history.into_iter().take(MAX_HISTORY).collect();
        Self {
            strangers: BTreeMap::new(),
            clients: BTreeMap::new(),
            answered_by: BTreeMap::new(),
            carried: BTreeMap::new(),
            history,
            part,
        }
    }

    /// This daemon's part in the overlay.
    pub(crate) const fn part(&self) -> Part {
        self.part
    }

    /// A client of the user `uid` came; its name follows.
    pub(crate) fn arrived(&mut self, client: u32, uid: u32) {
        self.strangers.insert(client, uid);
    }

    /// A client that came gave its name: it is attached. `None` when it never came, or is attached already.
    pub(crate) fn attached(&mut self, client: u32, name: String) -> Option<ClientInfo> {
        let uid = self.strangers.remove(&client)?;
        let info = ClientInfo { client, uid, name };
        self.clients.insert(client, info.clone());
        Some(info)
    }

    /// A client left; `None` when it was never attached.
    pub(crate) fn gone(&mut self, client: u32) -> Option<ClientInfo> {
        self.strangers.remove(&client);
        self.clients.remove(&client)
    }

    /// One client.
    pub(crate) fn client(&self, client: u32) -> Option<&ClientInfo> {
        self.clients.get(&client)
    }

    /// All clients.
    pub(crate) fn clients(&self) -> Vec<ClientInfo> {
        self.clients.values().cloned().collect()
    }

    /// Remembers who answered `call`, in words.
    pub(crate) fn answered(&mut self, call: u32, client: u32) {
        if let Some(info) = self.clients.get(&client) {
            let user = nix::unistd::User::from_uid(info.uid.into()).ok().flatten();
            let user = user.map_or_else(|| info.uid.to_string(), |user| user.name);
            self.answered_by.insert(call, format!("{user} on {}", info.name));
        }
    }

    /// Remembers that `call` was answered without asking.
    pub(crate) fn answered_unasked(&mut self, call: u32) {
        self.answered_by.insert(call, "auto-answer".to_owned());
    }

    /// Whether any client is attached.
    pub(crate) fn is_attended(&self) -> bool {
        !self.clients.is_empty()
    }

    /// Who answered `call`.
    pub(crate) fn answered_by(&self, call: u32) -> Option<String> {
        self.answered_by.get(&call).cloned()
    }

    /// Takes note of the session that carries `call`; what it carried before the call does not count.
    pub(crate) fn carried(&mut self, call: u32, stats: SessionStats) {
        let known = self.carried.get(&call);
        let before = known.map_or(stats.media_sent, |carried| carried.before);
        let mut moves = known.map_or(Moves::new(stats.path), |carried| carried.moves);
        moves.note(stats.path);
        self.carried.insert(call, Carried { before, moves, stats });
        while self.carried.len() > MAX_CARRIED {
            self.carried.pop_first();
        }
    }

    /// The session that carries `call`, or carried it last, with the packets of this call only.
    pub(crate) fn session(&self, call: u32) -> Option<SessionStats> {
        let Carried { before, stats, .. } = self.carried.get(&call)?;
        Some(SessionStats { media_sent: stats.media_sent.saturating_sub(*before), ..stats.clone() })
    }

    /// How often the path of `call` to its peer has changed.
    pub(crate) fn path_changes(&self, call: u32) -> u32 {
        self.carried.get(&call).map_or(0, |carried| carried.moves.times)
    }

    /// How `call` reaches, or reached, its peer.
    pub(crate) fn route(&self, call: u32) -> Option<String> {
        self.carried.get(&call).map(|carried| carried.stats.path.to_string())
    }

    /// A call is over: it goes into the recent past.
    pub(crate) fn ended(&mut self, call: u32, past: PastCall) {
        self.answered_by.remove(&call);
        self.history.push_front(past);
        self.history.truncate(MAX_HISTORY);
    }

    /// The latest calls, newest first.
    pub(crate) fn history(&self, limit: usize) -> impl Iterator<Item = &PastCall> {
        self.history.iter().take(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_path_counts_and_the_way_back_does_too() {
        let [home, away] = ["198.18.0.1:5004", "198.18.0.2:5004"].map(|at| Path::direct(at.parse().unwrap()));
        let mut moves = Moves::new(home);
        [home, home, away, away, home].into_iter().for_each(|path| moves.note(path));
        assert_eq!(moves.times, 2);
    }
}
