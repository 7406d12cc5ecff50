//! The lists of broken stores that read an index of users and grants.

use grantcore::value::GrantId;

use crate::broken::Broken;
use crate::bug::Bug;
use crate::rows::Id;

impl Broken {
    /// Lists what the index has, if the bug is one of the index.
    pub fn listed(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Option<Vec<GrantId>> {
        let index = self.index.lock().unwrap();
        let is_later = |id: &GrantId| Some(*id) > after;
        let is_as_long = |(own, _): &&(String, GrantId)| own.len() == subject.len();
        let own = index.iter().filter(|(own, _)| own == subject).map(|(_, id)| *id);
        let rows = self.rows.lock();
        let exists = |id: &GrantId| rows.contains_key(&Id::Grant(*id));
        Some(match self.bug {
            Bug::SubjectRange => index
                .range((subject.to_owned(), GrantId::from_bytes([0; 16]))..)
                .take_while(is_as_long)
                .map(|(_, id)| *id)
                .filter(|id| is_later(id) && exists(id))
                .take(limit)
                .collect(),
            Bug::SubjectRangeBack => {
                let end = (subject.to_owned(), GrantId::from_bytes([0xFF; 16]));
                let back = index.range(..=end).rev().take_while(is_as_long);
                let mut ids: Vec<_> = back.map(|(_, id)| *id).filter(is_later).collect();
                ids.sort();
                ids.truncate(limit);
                ids
            }
            Bug::SweepLeavesIndex => own.filter(is_later).take(limit).collect(),
            Bug::SweepLeavesHoles => own.filter(is_later).take(limit).filter(exists).collect(),
            _ => return None,
        })
    }
}
