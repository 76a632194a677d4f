//! Whether a request had to be accepted, and whether its refusal told the truth.

use super::*;

impl Model {
    pub fn fits(&self, known: &[Known], request: Option<&Request>) -> bool {
        let mut requests: Vec<_> = known.iter().map(|known| known.request).collect();
        requests.extend(request);
        let mut tasks: Vec<_> =
            requests.iter().filter_map(|request| request.scope.task()).collect();
        tasks.sort_unstable();
        tasks.dedup();
        requests.len() <= CLAIMS
            && tasks.len() <= TASKS
            && holds_everywhere(&requests, &self.arbiter.config())
    }

    /// What stays whatever happens, if `class` asks.
    pub fn firm(&self, class: Class, replaced: Option<Handle>) -> Vec<Known> {
        let stays = |known: &&Known| {
            Some(known.handle) != replaced && (class == Class::System || known.held.is_none())
        };
        self.known.iter().filter(stays).copied().collect()
    }

    /// Why a request must be refused whoever else has claims.
    fn unsound(&self, request: &Request) -> bool {
        request.scope.cpu().is_some_and(|cpu| !CPU_IDS.contains(&cpu))
            || request.tenure == Tenure::Flexible
                && (request.region.length() > 8 || self.windows_of(request).count() != 1)
            || request.condition == Condition::Io
            || request.condition == Condition::Execute && request.region.length() != 1
            || request.region.overlaps(&region(0x1000, 16))
    }

    /// Judges what became of a request, and brings the model up to date.
    pub fn judge(
        &mut self,
        before: &TestArbiter,
        request: Request,
        replaced: Option<Handle>,
        result: Result<Handle, Rejection>,
    ) {
        let class = request.owner.class();
        let firm = self.firm(class, replaced);
        // The long region is not worth tiling.
        let may = !self.unsound(&request)
            && request.region.length() <= 32
            && self.fits(&firm, Some(&request));
        let handle = match result {
            Ok(handle) => handle,
            Err(rejection) => {
                assert!(!may, "false reject of {request:?}: {rejection}");
                assert!(*before == self.arbiter, "a refusal changed something");
                if let Rejection::Full(shortage) = rejection {
                    self.check_figures(&shortage, &request, &firm);
                }
                return;
            }
        };
        assert!(may, "false accept of {request:?}");
        let still = |known: &Known| self.arbiter.get(known.handle).is_some();
        let others = self.known.iter().filter(|known| Some(known.handle) != replaced);
        let (stayed, displaced): (Vec<_>, Vec<_>) = others.copied().partition(still);
        assert!(displaced.iter().all(|known| known.held.is_some() && class == Class::Debugger));
        for one in &displaced {
            let twin = one.request == request;
            let with_it: Vec<_> = stayed.iter().chain([one]).copied().collect();
            assert!(twin || !self.fits(&with_it, Some(&request)), "{one:?} went for nothing");
        }
        // Oldest first: the newest that went was needed even with all older ones gone.
        let newest =
            displaced.iter().filter(|one| one.request != request).max_by_key(|one| one.held);
        if let Some(newest) = newest {
            let older_gone: Vec<_> = self
                .known
                .iter()
                .copied()
                .filter(|known| {
                    Some(known.handle) != replaced
                        && (known.held.is_none() || known.held >= newest.held)
                })
                .collect();
            assert!(!self.fits(&older_gone, Some(&request)), "{newest:?} went before its elders");
        }
        self.gone.extend(displaced.iter().map(|known| known.handle));
        let before = self.known.iter().find(|known| known.handle == handle);
        let fresh = Known { handle, request, held: None, disabled: false, hits: 0, hits_before: 0 };
        let after = before.map_or(fresh, |known| Known { request, ..*known });
        self.known = stayed;
        self.known.push(after);
    }

    pub fn check_figures(&self, shortage: &Shortage, request: &Request, firm: &[Known]) {
        assert!(shortage.needed > shortage.available, "{shortage}");
        match request.tenure {
            Tenure::Pinned => {
                let available = self.trial(request.owner, request.scope, firm);
                assert_eq!(shortage.available, available);
                if request.region.length() <= 32 {
                    assert_eq!(shortage.needed, self.windows_of(request).count());
                }
            }
            Tenure::Flexible => {
                let reserved = self.arbiter.config().reservations.flexible();
                assert_eq!(shortage.needed, usize::from(reserved));
            }
        }
        assert!(shortage.available + shortage.kept <= 4);
        let windows: Vec<_> =
            shortage.holders.iter().flatten().map(|holder| holder.window).collect();
        let known = self.held_and_wanted(shortage.cpu, shortage.task);
        assert!(
            windows.len() == known.len() && known.iter().all(|window| windows.contains(window))
        );
    }

    /// How many fresh windows could be claimed: by the formula, one after the other.
    pub fn trial(&self, owner: Owner, scope: Scope, firm: &[Known]) -> usize {
        let mut requests: Vec<_> = firm.iter().map(|known| known.request).collect();
        (0..5)
            .take_while(|fresh| {
                requests.push(
                    Request::pinned(owner, region(0x2000 + fresh * 8, 1), Condition::Write)
                        .on(scope),
                );
                holds_everywhere(&requests, &self.arbiter.config())
            })
            .count()
    }
}
