//! Access tokens of people, given out under grants: who may do what, for ten minutes.
//!
//! A token tells everything that a request needs but whether it still holds: that is asked of the
//! database, at most every five seconds for each grant. So somebody who has lost a role, an account
//! or a session is out within that time, whatever their token says.

mod subjects;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use self::subjects::Subjects;
use crate::access_token::{self, Claims, SigningError, TokenError};
use crate::grants::Subject;
use crate::roles::{Roles, granted};
use crate::secret_keys::SecretKeys;
use crate::signing_keys::KeySet;

/// What tokens of the API's own login call their client.
pub const LOGIN: &str = "login";

/// How long a token of a browser app is good.
pub const OF_CLIENT: TimeDelta = TimeDelta::minutes(10);

/// How long a token of the API's own login is good.
pub const OF_LOGIN: TimeDelta = TimeDelta::minutes(60);

/// What keys of refresh tokens are derived for.
const REFRESH: &str = "refresh tokens";

/// Gives tokens out, and checks them. Of a process, one.
#[derive(Debug)]
pub struct Tokens {
    keys: KeySet,
    issuer: String,
    roles: Roles,
    subjects: Subjects,
    of_refresh: Vec<[u8; 32]>,
    now: fn() -> DateTime<Utc>,
}

/// A token that was given out.
#[derive(Debug)]
pub struct Issued {
    pub token: String,
    /// Seconds for which it is good.
    pub expires_in: i64,
    /// What it may be used for.
    pub scopes: Vec<&'static str>,
}

/// Whose a token is, and what it may be used for now.
#[derive(Debug, Clone)]
pub struct Access {
    pub grant: Uuid,
    pub account: Uuid,
    pub email: String,
    pub full_name: String,
    pub app: String,
    pub role: String,
    pub tenant: Option<Uuid>,
    /// Slug of the tenant.
    pub tenant_slug: Option<String>,
    pub scopes: Vec<String>,
    /// What the token calls its client.
    pub client: String,
}

/// Why no token was given out.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// This process does not know the role: it serves other domains.
    #[error("the role {role} of {app} is not known here")]
    Role { app: String, role: String },
    #[error(transparent)]
    Signing(#[from] SigningError),
}

/// Why a token is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It is no token, or one that has ended.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// What it was given out for holds no more: the role, the account, the tenant, the sign-in.
    #[error("what it was given out for has ended")]
    Over,
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
}

impl Tokens {
    /// Tokens of the service that is called `issuer`, a URL.
    #[expect(clippy::disallowed_methods, reason = "tokens are checked where the database is not asked")]
    pub fn new(pool: PgPool, secrets: &SecretKeys, issuer: String, roles: Roles) -> Self {
        Self {
            keys: KeySet::new(pool.clone(), secrets.clone()),
            issuer,
            roles,
            subjects: Subjects::new(pool),
            of_refresh: secrets.derived(REFRESH).collect(),
            now: Utc::now,
        }
    }

    /// The URL of the service, as its tokens name it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The keys that sign.
    pub fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// The roles that tokens are given out for.
    pub fn roles(&self) -> &Roles {
        &self.roles
    }

    /// What successors of refresh tokens are derived with, the present key first.
    pub fn refresh_keys(&self) -> &[[u8; 32]] {
        &self.of_refresh
    }

    /// Gives out a token.
    ///
    /// # Errors
    /// When the role is not known here, or there is no key.
    pub async fn issue(&self, subject: &Subject) -> Result<Issued, IssueError> {
        let role = self.roles.role(&subject.app, &subject.role);
        let role =
            role.ok_or_else(|| IssueError::Role { app: subject.app.clone(), role: subject.role.clone() })?;
        let scopes = granted(role, subject.scopes.as_deref());
        let (iat, life) =
            ((self.now)().timestamp(), if subject.client.is_some() { OF_CLIENT } else { OF_LOGIN });
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.issuer.clone(),
            sub: subject.account,
            tenant_id: subject.tenant,
            app: subject.app.clone(),
            role: subject.role.clone(),
            email: subject.email.clone(),
            scope: scopes.join(" "),
            client_id: subject.client.clone().unwrap_or_else(|| LOGIN.to_owned()),
            sid: subject.grant,
            jti: Uuid::now_v7(),
            iat,
            exp: iat + life.num_seconds(),
        };
        let token = access_token::sign(&self.keys, &claims).await?;
        Ok(Issued { token, expires_in: life.num_seconds(), scopes })
    }

    /// Whose a token is.
    ///
    /// # Errors
    /// When it is not taken, or the database cannot say.
    pub async fn check(&self, token: &str) -> Result<Access, Refused> {
        let claims = self.read(token).await?;
        let subject = self.subjects.get(claims.sid).await?.ok_or(Refused::Over)?;
        // A token of the role of before is none: the next one has the role of now.
        let is_same = (claims.sub, claims.tenant_id) == (subject.account, subject.tenant)
            && (claims.app.as_str(), claims.role.as_str()) == (subject.app.as_str(), subject.role.as_str());
        let role = self.roles.role(&subject.app, &subject.role).filter(|_| is_same).ok_or(Refused::Over)?;
        let scopes = claims.scope.split(' ').filter(|scope| role.scopes.contains(scope));
        Ok(Access {
            grant: subject.grant,
            account: subject.account,
            email: subject.email.clone(),
            full_name: subject.full_name.clone(),
            app: subject.app.clone(),
            role: subject.role.clone(),
            tenant: subject.tenant,
            tenant_slug: subject.tenant_slug.clone(),
            scopes: scopes.map(str::to_owned).collect(),
            client: claims.client_id,
        })
    }

    /// What a token says that was signed here, whether or not that still holds.
    ///
    /// # Errors
    /// When it is no token, or has ended.
    pub async fn read(&self, token: &str) -> Result<Claims, TokenError> {
        access_token::verify(&self.keys, token, &self.issuer, &self.issuer, (self.now)()).await
    }

    /// A grant has ended here: its tokens are refused at once, and elsewhere within five seconds.
    pub fn ended(&self, grant: Uuid) {
        self.subjects.end(grant);
    }
}
