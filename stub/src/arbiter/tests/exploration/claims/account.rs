//! What the exploration knows of the claims: which of the alphabet, in which standing. Windows
//! are bits, and sets of windows are words.

use super::*;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Standing {
    Live,
    Disabled,
    /// And as the how-manieth of those that are.
    Held(u8),
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Entry {
    /// In the alphabet.
    pub number: usize,
    pub windows: u8,
    pub request: Request,
    pub standing: Standing,
}

impl Entry {
    pub fn is_held(&self) -> bool {
        matches!(self.standing, Standing::Held(_))
    }

    pub fn rank(&self) -> u8 {
        match self.standing {
            Standing::Live | Standing::Disabled => 0,
            Standing::Held(rank) => rank,
        }
    }

    pub fn is_debuggers(&self) -> bool {
        self.request.owner == Owner::Debugger
    }

    pub fn is_of(&self, task: TaskId) -> bool {
        matches!(self.request.scope, Scope::Task(own) | Scope::TaskOnCpu(own, _) if own == task)
    }

    fn is_pinned(&self) -> bool {
        self.request.tenure == Tenure::Pinned
    }

    fn applies(&self, cpu: CpuId, task: Option<TaskId>) -> bool {
        match self.request.scope {
            Scope::AllCpus => true,
            Scope::Cpu(on) => on == cpu,
            Scope::Task(of) => Some(of) == task,
            Scope::TaskOnCpu(of, on) => Some(of) == task && on == cpu,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Account(pub Vec<Entry>);

fn union<'a>(entries: impl Iterator<Item = &'a Entry>) -> u8 {
    entries.fold(0, |all, entry| all | entry.windows)
}

impl Account {
    /// The same for all orders in the table.
    pub fn key(&self) -> [Option<(u8, Standing)>; CLAIMS] {
        let mut key = [None; CLAIMS];
        for (place, entry) in key.iter_mut().zip(&self.0) {
            *place = Some((entry.number as u8, entry.standing));
        }
        key.sort_unstable();
        key
    }

    pub fn only(&self, stays: impl Fn(&Entry) -> bool) -> Account {
        Account(self.0.iter().copied().filter(|entry| stays(entry)).collect()).ranked()
    }

    pub fn without(&self, place: Option<usize>) -> Account {
        let others = self.0.iter().enumerate().filter(|(index, _)| Some(*index) != place);
        Account(others.map(|(_, entry)| *entry).collect())
    }

    pub fn with(&self, new: Entry) -> Account {
        Account(self.0.iter().copied().chain([new]).collect())
    }

    /// Takes out one that is like this, whatever its rank. Says whether there was one.
    pub fn remove_like(&mut self, entry: &Entry) -> bool {
        let like = |other: &Entry| {
            other.number == entry.number
                && (other.standing == entry.standing || other.is_held() && entry.is_held())
        };
        self.0.iter().position(like).map(|place| self.0.remove(place)).is_some()
    }

    /// Those that are held, numbered without gaps.
    pub fn ranked(&self) -> Account {
        let mut ranks: Vec<_> =
            self.0.iter().filter(|entry| entry.is_held()).map(Entry::rank).collect();
        ranks.sort_unstable();
        let mut ranked = self.clone();
        for entry in ranked.0.iter_mut().filter(|entry| entry.is_held()) {
            let rank = ranks.iter().position(|rank| *rank == entry.rank()).unwrap();
            entry.standing = Standing::Held(rank as u8);
        }
        ranked
    }

    /// The windows that each side needs in a context, and what is kept for turns there.
    fn needs(&self, config: &Config, cpu: CpuId, task: Option<TaskId>) -> (u8, u8, u32) {
        let here = |entry: &&Entry| entry.is_pinned() && entry.applies(cpu, task);
        let debugger = union(self.0.iter().filter(here).filter(|entry| entry.is_debuggers()));
        let system = union(self.0.iter().filter(here).filter(|entry| !entry.is_debuggers()));
        let takes_turns = |entry: &Entry| {
            !entry.is_pinned() && entry.request.scope.cpu().is_none_or(|on| on == cpu)
        };
        let turns = self.0.iter().any(takes_turns);
        (debugger, system, if turns { config.reservations.flexible().into() } else { 0 })
    }

    fn in_all_contexts(&self, config: &Config, holds: impl Fn(u8, u8, u32) -> bool) -> bool {
        CPUS.into_iter().all(|cpu| {
            TASKS.into_iter().all(|task| {
                let (debugger, system, turns) = self.needs(config, cpu, task);
                holds(debugger, system, turns)
            })
        })
    }

    /// The formula of DESIGN §4, with 2 for 4.
    pub fn satisfies_formula(&self, config: &Config) -> bool {
        let (r_d, r_s) =
            (config.reservations.debugger().into(), config.reservations.system().into());
        let lack = |reserved: u32, windows: u8| reserved.saturating_sub(windows.count_ones());
        self.in_all_contexts(config, |d, s, r_f| {
            let kept = Ord::max(lack(r_d, d & !s) + lack(r_s, s), lack(r_d, d) + lack(r_s, s & !d));
            (d | s).count_ones() + kept + r_f <= SLOTS as u32
        })
    }

    /// Whoever releases whatever, in each state that comes of it what is in use and what is owed
    /// to both sides fit together: nobody's release breaks a reservation.
    pub fn keeps_promises(&self, config: &Config) -> bool {
        (0..1 << self.0.len()).all(|kept: u32| {
            let left = self.0.iter().enumerate().filter(|(index, _)| kept & 1 << index != 0);
            let left = Account(left.map(|(_, entry)| *entry).collect());
            left.in_all_contexts(config, |d, s, turns| {
                let owed = |reserved: u8, windows: u8| {
                    u32::from(reserved).saturating_sub(windows.count_ones())
                };
                let owed =
                    owed(config.reservations.debugger(), d) + owed(config.reservations.system(), s);
                (d | s).count_ones() + owed + turns <= SLOTS as u32
            })
        })
    }

    /// What is pinned and in force is armed; what takes turns has all of what is left, and nothing
    /// is armed for nobody.
    pub fn check_armed(&self, cpu: CpuId, task: Option<TaskId>, armed: u8) {
        let here: Vec<_> = self.0.iter().filter(|entry| entry.applies(cpu, task)).collect();
        let of = |which: &dyn Fn(&Entry) -> bool| {
            union(here.iter().copied().filter(|entry| which(entry)))
        };
        let is_live = |entry: &Entry| entry.standing == Standing::Live;
        let pinned = of(&|entry| entry.is_pinned() && is_live(entry));
        let counted = of(&Entry::is_pinned);
        let flexible = of(&|entry| !entry.is_pinned() && is_live(entry));
        assert_eq!(armed & pinned, pinned, "{self:?}");
        assert_eq!(armed & !(pinned | flexible), 0, "{self:?}");
        // One whose window is counted anyway needs no turn.
        assert_eq!(flexible & counted & !armed, 0, "{self:?}");
        let room = SLOTS as u32 - counted.count_ones();
        let in_turns = flexible & !counted;
        assert_eq!((armed & in_turns).count_ones(), in_turns.count_ones().min(room), "{self:?}");
    }
}
