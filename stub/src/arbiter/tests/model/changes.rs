//! Steps that change the claims.

use super::*;

impl Model {
    pub fn claim(&mut self, request: Request) {
        let before = self.arbiter.clone();
        let twin = self.known.iter_mut().find(|known| known.request == request);
        let result = self.arbiter.claim(request, carry_on);
        match twin.filter(|_| request.owner == Owner::Debugger) {
            Some(twin) => {
                assert_eq!(result, Ok(twin.handle), "Z is idempotent, and revives");
                (twin.held, twin.disabled) = (None, false);
            }
            None => self.judge(&before, request, None, result),
        }
    }

    pub fn modify(&mut self, index: usize, to: &Request, part: Part) {
        let Some(known) = self.known.get(index).copied() else { return };
        let (region, condition) = (to.region, to.condition);
        let was = known.request;
        let request = match part {
            Part::Region => Request { region, condition, ..was },
            Part::Scope => Request { scope: to.scope, ..was },
            Part::Tenure => Request { tenure: to.tenure, ..was },
            Part::All => Request { owner: was.owner, ..*to },
        };
        let before = self.arbiter.clone();
        let result = self.arbiter.modify(known.handle, |_| request);
        let twin = self.known.iter().find(|twin| {
            twin.request == request && request.owner == Owner::Debugger && twin.held.is_none()
        });
        match (known.held, twin) {
            (Some(_), _) => assert_eq!(result, Err(Rejection::StaleHandle)),
            (None, Some(twin)) if twin.handle == known.handle => assert_eq!(result, Ok(())),
            (None, Some(twin)) => assert_eq!(result, Err(Rejection::Duplicate(twin.handle))),
            (None, None) => {
                let result = result.map(|()| known.handle);
                self.judge(&before, request, Some(known.handle), result);
                if (was.tenure, request.tenure) == (Tenure::Pinned, Tenure::Flexible)
                    && result.is_ok()
                {
                    self.forget_times(known.handle);
                }
            }
        }
    }

    fn forget_times(&mut self, handle: Handle) {
        for cpu in &mut self.cpus {
            cpu.times.retain(|(of, _, _)| *of != handle);
        }
        let known = self.known.iter_mut().find(|known| known.handle == handle);
        known.unwrap().hits_before = self.arbiter.get(handle).unwrap().hits();
    }

    pub fn release(&mut self, index: usize) {
        let Some(known) = self.known.get(index).copied() else { return };
        assert_eq!(self.arbiter.release(known.handle), Ok(()));
        self.forget(|other| other.handle == known.handle);
    }

    pub fn hold(&mut self, index: usize) {
        let Some(known) = self.known.get_mut(index) else { return };
        let result = self.arbiter.hold(known.handle);
        match known.request.owner {
            Owner::Debugger => {
                assert_eq!(result, Ok(()));
                self.releases += 1;
                known.held = known.held.or(Some(self.releases));
            }
            Owner::System(_) => assert_eq!(result, Err(HoldError::NotTheDebuggers)),
        }
    }

    pub fn set_disabled(&mut self, index: usize, disabled: bool) {
        let Some(known) = self.known.get_mut(index) else { return };
        let result = match disabled {
            true => self.arbiter.disable(known.handle),
            false => self.arbiter.enable(known.handle),
        };
        match known.held {
            Some(_) => assert_eq!(result, Err(Stale)),
            None => {
                assert_eq!(result, Ok(()), "its place was kept");
                known.disabled = disabled;
            }
        }
    }
}
