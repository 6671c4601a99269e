//! A change, and what it changed: every entry of one tells how it was before and is after, in one
//! form.

use serde_json::{Map, Value, json};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::control::target::{self, Target};
use weirgate_queue::schedule::Definition;
use weirgate_queue::{backfill, read};

use super::Actor;

/// What somebody is about to change.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    Job(Uuid),
    Queue(&'a str),
    /// A tenant's lane of a queue.
    Lane {
        tenant: Uuid,
        slug: &'a str,
        queue: &'a str,
    },
    /// All lanes of a tenant.
    Lanes {
        tenant: Uuid,
        slug: &'a str,
        /// In order of their names.
        queues: &'a [&'a str],
    },
    Backfill(Uuid),
    Worker(Uuid),
    Schedule(&'a Definition),
    Tenant {
        id: Uuid,
        slug: &'a str,
    },
    /// By its email.
    Account(&'a str),
    /// An app that people sign in to by OAuth, by its id.
    Client(&'a str),
    /// An API key, by its prefix.
    Key(&'a str),
}

/// A change that is under way: nobody else changes the same thing before the transaction ends.
#[derive(Debug)]
pub struct Change<'a> {
    subject: Subject<'a>,
    /// `None` where it is not there yet.
    before: Option<Value>,
}

impl<'a> Change<'a> {
    /// Holds the subject, and sees how it stands.
    pub async fn begin(conn: &mut PgConnection, subject: Subject<'a>) -> weirgate_queue::Result<Self> {
        // On the heap, as what can be changed is of many kinds: who waits for this would be as
        // large as the largest of them.
        Box::pin(subject.hold(conn)).await?;
        let before = Box::pin(subject.read(conn)).await?;
        Ok(Self { subject, before })
    }

    /// Notes what it became, once that is done: what differs, and what it was `about` also where
    /// that does not. Returns whether anything differs.
    pub async fn note(
        self,
        conn: &mut PgConnection,
        actor: &Actor,
        action: &str,
        about: &[&str],
    ) -> weirgate_queue::Result<bool> {
        self.note_with(conn, actor, action, about, Value::Null).await
    }

    /// How it was; `None` where it was not there.
    pub fn before(&self) -> Option<&Value> {
        self.before.as_ref()
    }

    /// The same where anything differs, and nothing where nothing does.
    pub async fn note_if_any(
        self,
        conn: &mut PgConnection,
        actor: &Actor,
        action: &str,
    ) -> weirgate_queue::Result<()> {
        if Box::pin(self.subject.read(conn)).await? != self.before {
            self.note(conn, actor, action, &[]).await?;
        }
        Ok(())
    }

    /// The same with `more` about it, an object.
    pub async fn note_with(
        self,
        conn: &mut PgConnection,
        actor: &Actor,
        action: &str,
        about: &[&str],
        more: Value,
    ) -> weirgate_queue::Result<bool> {
        let after = Box::pin(self.subject.read(conn)).await?;
        let differs = self.before != after;
        let mut detail = compared(self.before.as_ref(), after.as_ref(), about);
        if let (Value::Object(detail), Value::Object(more)) = (&mut detail, more) {
            detail.extend(more);
        }
        let tenant = Box::pin(self.subject.tenant(conn)).await?;
        actor.note(conn, action, &self.subject.name(), tenant, &detail).await?;
        Ok(differs)
    }
}

impl Subject<'_> {
    /// What the audit calls it.
    fn name(&self) -> String {
        match *self {
            Self::Job(id) | Self::Backfill(id) | Self::Worker(id) => id.to_string(),
            Self::Queue(name) | Self::Account(name) | Self::Client(name) | Self::Key(name) => name.to_owned(),
            Self::Lane { slug, queue, .. } => format!("{slug}/{queue}"),
            Self::Schedule(definition) => definition.name.to_owned(),
            Self::Tenant { slug, .. } | Self::Lanes { slug, .. } => slug.to_owned(),
        }
    }

    /// What the engine calls it, if it is the engine's.
    fn target(&self) -> Option<Target<'_>> {
        Some(match *self {
            Self::Job(id) => Target::Job(id),
            Self::Queue(name) => Target::Queue(name),
            Self::Lane { tenant, queue, .. } => Target::Lane { tenant, queue },
            Self::Backfill(id) => Target::Backfill(id),
            Self::Worker(id) => Target::Worker(id),
            Self::Schedule(definition) => Target::Schedule(definition),
            Self::Lanes { .. } | Self::Tenant { .. } | Self::Account(_) | Self::Client(_) | Self::Key(_) => {
                return None;
            }
        })
    }

    async fn hold(&self, conn: &mut PgConnection) -> weirgate_queue::Result<()> {
        if let Some(target) = self.target() {
            return target::lock(conn, target).await;
        }
        match *self {
            Self::Lanes { tenant, queues, .. } => {
                for queue in queues {
                    target::lock(conn, Target::Lane { tenant, queue }).await?;
                }
            }
            Self::Tenant { id, .. } => {
                sqlx::query!("select id from identity.tenants where id = $1 for no key update", id)
                    .fetch_optional(conn)
                    .await?;
            }
            Self::Account(email) => {
                sqlx::query!(
                    "select id from identity.accounts where lower(email) = lower($1) for no key update",
                    email
                )
                .fetch_optional(conn)
                .await?;
            }
            Self::Client(id) => {
                sqlx::query!(
                    "select client_id from identity.clients where client_id = $1 for no key update",
                    id
                )
                .fetch_optional(conn)
                .await?;
            }
            Self::Key(prefix) => {
                sqlx::query!("select id from identity.api_keys where prefix = $1 for no key update", prefix)
                    .fetch_optional(conn)
                    .await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Never with a secret, nor the hash of one.
    async fn read(&self, conn: &mut PgConnection) -> weirgate_queue::Result<Option<Value>> {
        if let Some(target) = self.target() {
            return target::describe(conn, target).await;
        }
        Ok(match *self {
            Self::Lanes { tenant, queues, .. } => {
                let mut paused = Map::new();
                for queue in queues {
                    let lane =
                        target::describe(conn, Target::Lane { tenant, queue }).await?.unwrap_or_default();
                    paused.insert((*queue).to_owned(), lane["paused"].clone());
                }
                Some(json!({ "paused": paused }))
            }
            Self::Tenant { id, .. } => {
                sqlx::query_scalar!(
                    r#"select to_jsonb(t) - 'id' - 'created_at' as "it!" from identity.tenants t where id = $1"#,
                    id
                )
                .fetch_optional(conn)
                .await?
            }
            Self::Account(email) => {
                sqlx::query_scalar!(
                    r#"select jsonb_build_object('disabled', a.disabled_at is not null, 'full_name', a.full_name,
                        'locale', a.locale, 'has_password', a.password_hash is not null)
                        || coalesce((
                            select jsonb_object_agg(concat_ws(' ', m.app, t.slug), m.role)
                            from identity.memberships m left join identity.tenants t on t.id = m.tenant_id
                            where m.account_id = a.id and m.disabled_at is null
                        ), '{}') as "it!"
                   from identity.accounts a where lower(a.email) = lower($1)"#,
                    email
                )
                .fetch_optional(conn)
                .await?
            }
            Self::Client(id) => {
                sqlx::query_scalar!(
                    r#"select jsonb_build_object('name', name, 'redirect_uris', redirect_uris, 'origins', origins,
                    'disabled', disabled_at is not null) as "it!" from identity.clients where client_id = $1"#,
                    id
                )
                .fetch_optional(conn)
                .await?
            }
            Self::Key(prefix) => {
                sqlx::query_scalar!(
                    r#"select jsonb_build_object('tenant', t.slug, 'name', k.name, 'is_active', k.is_active,
                    'scopes', k.scopes, 'expires_at', k.expires_at) as "it!"
                   from identity.api_keys k join identity.tenants t on t.id = k.tenant_id where k.prefix = $1"#,
                    prefix
                )
                .fetch_optional(conn)
                .await?
            }
            _ => None,
        })
    }

    /// The tenant that it is of, if it is one's alone.
    async fn tenant(&self, conn: &mut PgConnection) -> sqlx::Result<Option<Uuid>> {
        match *self {
            Self::Tenant { id: tenant, .. } | Self::Lane { tenant, .. } | Self::Lanes { tenant, .. } => {
                Ok(Some(tenant))
            }
            Self::Job(id) => read::tenant_of(conn, id).await,
            Self::Key(prefix) => {
                sqlx::query_scalar!("select tenant_id from identity.api_keys where prefix = $1", prefix)
                    .fetch_optional(conn)
                    .await
            }
            // Who asked for all tenants is told so.
            Self::Backfill(id) => {
                let spec = backfill::spec(conn, id).await?.unwrap_or_default();
                let Some([slug]) = spec["tenants"].as_array().map(Vec::as_slice) else { return Ok(None) };
                sqlx::query_scalar!("select id from identity.tenants where slug = $1", slug.as_str())
                    .fetch_optional(conn)
                    .await
            }
            Self::Queue(_) | Self::Worker(_) | Self::Schedule(_) | Self::Account(_) | Self::Client(_) => {
                Ok(None)
            }
        }
    }
}

/// Both sides, of each what differs or what it was about. What was made or ended is told as a
/// whole.
fn compared(before: Option<&Value>, after: Option<&Value>, about: &[&str]) -> Value {
    let (Some(Value::Object(before)), Some(Value::Object(after))) = (before, after) else {
        return json!({ "before": before, "after": after });
    };
    let part = |side: &Map<String, Value>| -> Map<String, Value> {
        let is_told = |name: &str| about.contains(&name) || before.get(name) != after.get(name);
        side.iter().filter(|(name, _)| is_told(name)).map(|(name, it)| (name.clone(), it.clone())).collect()
    };
    json!({ "before": part(before), "after": part(after) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_and_what_it_was_about() {
        let of = |paused, most| Some(json!({ "paused": paused, "max_running": most, "weight": 1 }));
        assert_eq!(
            compared(of(false, 3).as_ref(), of(true, 3).as_ref(), &["paused"]),
            json!({ "before": { "paused": false }, "after": { "paused": true } })
        );
        assert_eq!(
            compared(of(true, 3).as_ref(), of(true, 3).as_ref(), &["paused"]),
            json!({ "before": { "paused": true }, "after": { "paused": true } }),
            "a pause of what is paused says so"
        );
        assert_eq!(
            compared(of(true, 3).as_ref(), of(true, 4).as_ref(), &[]),
            json!({ "before": { "max_running": 3 }, "after": { "max_running": 4 } })
        );
        assert_eq!(
            compared(None, Some(&json!({ "a": 1 })), &[]),
            json!({ "before": null, "after": { "a": 1 } }),
            "it was made"
        );
    }
}
