create table parcels.parcels (
    label text primary key,
    is_delivered boolean not null default false
);
comment on table parcels.parcels is 'Parcels that were sent.';
comment on column parcels.parcels.label is 'What is written on it.';
comment on column parcels.parcels.is_delivered is 'Whether it has arrived.';
