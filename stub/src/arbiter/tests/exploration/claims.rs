//! Who gets what: claims of every scope, of both sides, over windows that they share; held,
//! switched off, changed in place, released in any order, under all reservations of 0 or 1.

use super::*;
use crate::arbiter::tests::exploration::claims::account::{Account, Entry, Standing};

mod account;

const CLAIMS: usize = 3;
pub const SLOTS: usize = 2;
type Small = Arbiter<CLAIMS, 2, 2, SLOTS>;

pub const CPUS: [CpuId; 2] = [CpuId(0), CpuId(1)];
/// No task in particular, and the two.
pub const TASKS: [Option<TaskId>; 3] = [None, Some(TaskId(0)), Some(TaskId(1))];

/// Two windows, and both in one region: a region's bits are its windows.
fn regions() -> [(u8, Region); 3] {
    [(0b01, region(0x10, 8)), (0b10, region(0x18, 8)), (0b11, region(0x10, 16))]
}

/// Everything that is ever asked for.
fn alphabet() -> Vec<(u8, Request)> {
    let mut all = Vec::new();
    let (first, second) = (TaskId(0), TaskId(1));
    let scopes = [
        Scope::AllCpus,
        Scope::Cpu(CpuId(0)),
        Scope::Task(first),
        Scope::TaskOnCpu(second, CpuId(0)),
    ];
    for owner in [Owner::Debugger, Owner::System("guard")] {
        for (windows, region) in regions() {
            for scope in scopes {
                let request = Request::pinned(owner, region, Condition::Write);
                all.push((windows, request.on(scope)));
            }
        }
    }
    let takes_turns = |owner, (windows, region), scope| {
        (windows, Request::flexible(owner, region, Condition::Write).on(scope))
    };
    let [low, high, _] = regions();
    all.push(takes_turns(Owner::System("profiler"), low, Scope::AllCpus));
    all.push(takes_turns(Owner::System("profiler"), high, Scope::Task(first)));
    all.push(takes_turns(Owner::Debugger, high, Scope::Cpu(CpuId(0))));
    all
}

struct Explorer {
    alphabet: Vec<(u8, Request)>,
    config: Config,
}

impl Explorer {
    /// What the arbiter has, in terms of the alphabet.
    fn account(&self, arbiter: &Small) -> Account {
        let mut held: Vec<_> = arbiter
            .claims()
            .filter_map(|(handle, claim)| Some((claim.held_since()?, handle)))
            .collect();
        held.sort_unstable_by_key(|(number, _)| *number);
        let entry = |(handle, claim): (Handle, &Claim)| {
            let number = self.alphabet.iter().position(|(_, request)| request == claim.request());
            let rank = held.iter().position(|(_, own)| *own == handle);
            let standing = match (rank, claim.is_disabled()) {
                (Some(rank), _) => Standing::Held(rank as u8),
                (None, true) => Standing::Disabled,
                (None, false) => Standing::Live,
            };
            let number = number.unwrap();
            Entry { number, windows: self.alphabet[number].0, request: *claim.request(), standing }
        };
        Account(arbiter.claims().map(entry).collect())
    }

    fn visit(&self, arbiter: &Small, next: &mut Vec<Small>) {
        let account = self.account(arbiter);
        assert!(account.keeps_promises(&self.config), "{account:?}");
        self.check_registers(arbiter, &account);
        for (number, (_, request)) in self.alphabet.iter().enumerate() {
            self.try_claim(arbiter, &account, number, request, next);
        }
        for (place, (handle, _)) in arbiter.claims().enumerate() {
            self.try_changes(arbiter, &account, place, handle, next);
        }
        // Each of these leaves exactly the claims that it is not about.
        type Operation = fn(&mut Small);
        type Stays = fn(&Entry) -> bool;
        let mass: [(Operation, Stays); 6] = [
            (Small::end_deferrals, |entry| !entry.is_held()),
            (|arbiter| arbiter.end_task(TaskId(0)), |entry| !entry.is_of(TaskId(0))),
            (|arbiter| arbiter.end_task(TaskId(1)), |entry| !entry.is_of(TaskId(1))),
            (|arbiter| arbiter.release_class(Class::Debugger), |entry| !entry.is_debuggers()),
            (|arbiter| arbiter.release_class(Class::System), Entry::is_debuggers),
            (Small::release_all, |_| false),
        ];
        for (operation, stays) in mass {
            let mut after = arbiter.clone();
            operation(&mut after);
            assert_eq!(self.account(&after).key(), account.only(stays).key());
            next.push(after);
        }
    }

    /// Promises 1, 2, 4 and 5.
    fn try_claim(
        &self,
        arbiter: &Small,
        account: &Account,
        number: usize,
        request: &Request,
        next: &mut Vec<Small>,
    ) {
        let mut after = arbiter.clone();
        let result = after.claim(*request, carry_on);
        let debuggers = request.owner == Owner::Debugger;
        if let Some(twin) = account.0.iter().position(|entry| debuggers && entry.number == number) {
            let mut expected = account.clone();
            expected.0[twin].standing = Standing::Live;
            assert_eq!(self.account(&after).key(), expected.ranked().key(), "Z is idempotent");
        } else {
            let new = self.entry(number);
            self.judge(arbiter, account, new, None, result.map(|_| ()), &after);
        }
        next.push(after);
    }

    fn entry(&self, number: usize) -> Entry {
        let (windows, request) = self.alphabet[number];
        Entry { number, windows, request, standing: Standing::Live }
    }

    /// Accepted if and only if it fits beside what cannot be displaced; and then what is displaced
    /// is held, and would not have fitted with it.
    fn judge(
        &self,
        before: &Small,
        account: &Account,
        new: Entry,
        replaced: Option<usize>,
        result: Result<(), Rejection>,
        after: &Small,
    ) {
        let others = account.without(replaced);
        let may_go = |entry: &Entry| new.is_debuggers() && entry.is_held();
        let firm = others.only(|entry| !may_go(entry));
        let fits = |account: &Account| {
            account.0.len() < CLAIMS && account.with(new).satisfies_formula(&self.config)
        };
        if result.is_err() {
            assert!(!fits(&firm), "false reject of {new:?} beside {account:?}");
            assert!(before == after, "a refusal changed something");
            return;
        }
        assert!(fits(&firm), "false accept of {new:?} beside {account:?}");
        let now = self.account(after);
        let mut stayed = now.clone();
        stayed.remove_like(&new);
        for entry in &firm.0 {
            stayed.remove_like(entry);
        }
        // What is left was held and has stayed; what is not there of it was in the way.
        let mut displaced = others.only(may_go);
        for entry in &stayed.0 {
            assert!(displaced.remove_like(entry), "{entry:?} came from nowhere");
        }
        for entry in &displaced.0 {
            let beside = Account(firm.0.iter().chain(&stayed.0).chain([entry]).copied().collect());
            let twin = entry.number == new.number;
            assert!(twin || !fits(&beside), "{entry:?} went for nothing");
        }
        if let Some(newest) = displaced.0.iter().map(|entry| entry.rank()).max() {
            let older_gone = others.only(|entry| !may_go(entry) || entry.rank() >= newest);
            let twin = displaced.0.iter().any(|entry| entry.number == new.number);
            assert!(twin || !fits(&older_gone), "a younger one went before its elders");
        }
    }

    /// Promises 5 and 6.
    fn try_changes(
        &self,
        arbiter: &Small,
        account: &Account,
        place: usize,
        handle: Handle,
        next: &mut Vec<Small>,
    ) {
        let own = account.0[place];
        let mut check =
            |operation: &dyn Fn(&mut Small) -> bool, works: bool, to: Option<Standing>| {
                let mut after = arbiter.clone();
                assert_eq!(operation(&mut after), works);
                let mut expected = account.clone();
                match to {
                    _ if !works => assert!(*arbiter == after),
                    None => drop(expected.0.remove(place)),
                    Some(standing) => expected.0[place].standing = standing,
                }
                assert_eq!(self.account(&after).key(), expected.ranked().key());
                next.push(after);
            };
        check(&|arbiter| arbiter.release(handle).is_ok(), true, None);
        let last = if own.is_held() { own.standing } else { Standing::Held(u8::MAX) };
        check(&|arbiter| arbiter.hold(handle).is_ok(), own.is_debuggers(), Some(last));
        let works = !own.is_held();
        check(&|arbiter| arbiter.disable(handle).is_ok(), works, Some(Standing::Disabled));
        check(&|arbiter| arbiter.enable(handle).is_ok(), works, Some(Standing::Live));
        for (number, (_, request)) in self.alphabet.iter().enumerate() {
            if request.owner != own.request.owner || own.is_held() {
                continue;
            }
            let mut after = arbiter.clone();
            let result = after.modify(handle, |_| *request);
            let debuggers = own.is_debuggers();
            let twin = account.0.iter().find(|entry| debuggers && entry.number == number);
            match twin {
                Some(twin) if twin.number == own.number => assert!(*arbiter == after),
                Some(twin) if !twin.is_held() => {
                    assert!(matches!(result, Err(Rejection::Duplicate(_))) && *arbiter == after);
                }
                Some(_) | None => {
                    let new = Entry { standing: own.standing, ..self.entry(number) };
                    self.judge(arbiter, account, new, Some(place), result, &after);
                }
            }
            next.push(after);
        }
    }

    /// Promise 3 on both CPUs, for each task; and promise 8: who takes turns gets what is left.
    fn check_registers(&self, arbiter: &Small, account: &Account) {
        for (cpu, task) in CPUS.into_iter().flat_map(|cpu| TASKS.map(|task| (cpu, task))) {
            let mut running = arbiter.clone();
            let mut registers = Registers::default();
            running.resume(cpu, &mut registers);
            let plan = task.map_or(PlanId::NONE, |task| running.plan_of(task));
            running.switch_to(cpu, plan, 0, &mut registers);
            let mut armed = 0;
            for window in Slot::ALL.into_iter().filter_map(|slot| registers.bank.armed(slot)) {
                let of = regions().iter().find(|(_, own)| *own == window.region()).unwrap().0;
                assert_eq!(armed & of, 0, "armed twice");
                armed |= of;
            }
            account.check_armed(cpu, task, armed);
        }
    }
}

/// Under all reservations together.
const STATES: usize = 209_508;

/// Promises 1 to 6, 8 and 11, in every state there is.
#[test]
fn promises_1_to_6_8_and_11_in_all_states_of_claims() {
    let mut total = 0;
    for reserved in if cfg!(miri) { 0b011..0b100 } else { 0..0b111u8 } {
        let [debugger, system, flexible] = [0, 1, 2].map(|bit| reserved >> bit & 1);
        let reservations = Reservations::new(debugger, system, flexible).unwrap();
        let config = Config { reservations, ..Config::DEFAULT };
        let explorer = Explorer { alphabet: alphabet(), config };
        let states = explore(
            Small::new(config),
            |arbiter| explorer.account(arbiter).key(),
            |arbiter, next| explorer.visit(arbiter, next),
        );
        std::println!("debugger {debugger}, system {system}, turns {flexible}: {states} states");
        total += states;
    }
    assert!(cfg!(miri) || total == STATES, "{total} states of claims");
}
