-- The keys that access tokens are signed with. Each signs for a time, and verifies until the last
-- token that it may have signed has ended.

create table identity.signing_keys (
    kid            text primary key,
    public_jwk     jsonb not null,
    private_sealed bytea,
    not_before     timestamptz not null,
    signs_until    timestamptz not null,
    verifies_until timestamptz not null,
    revoked_at     timestamptz,
    created_at     timestamptz not null default queue.now(),
    constraint signing_keys_ends_in_order check (not_before <= signs_until and signs_until <= verifies_until)
);

comment on table identity.signing_keys is
    'Ed25519 keys that access tokens are signed with: the one that signs now, the next one, and '
    'those of before that still verify';
comment on column identity.signing_keys.kid is
    'What tokens call it: the SHA-256 thumbprint of its public half (RFC 7638)';
comment on column identity.signing_keys.public_jwk is
    'Its public half as a JWK (RFC 8037), as /.well-known/jwks.json shows it';
comment on column identity.signing_keys.private_sealed is
    'Its private half, sealed with WEIRGATE_SECRET_KEY; null once it signs no longer';
comment on column identity.signing_keys.not_before is 'From when on it signs';
comment on column identity.signing_keys.signs_until is 'From when on it signs no longer';
comment on column identity.signing_keys.verifies_until is
    'From when on its tokens are refused: the last of them has ended by then';
comment on column identity.signing_keys.revoked_at is
    'Since when its tokens are refused before that; null where it was not revoked';
comment on column identity.signing_keys.created_at is 'When it was made';
