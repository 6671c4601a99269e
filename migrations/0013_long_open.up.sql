-- Tickets that are or were open for more than 28 days, few of all: so a day's KPIs count those open at its end without a
-- look at each ticket there ever was. The index takes the columns that its reader wants, and its reader names its condition.
create index raw_tickets_long_open on raw_tickets (tenant_id, created_at_remote, closed_at)
    where closed_at is null or closed_at - created_at_remote > interval '28 days';
