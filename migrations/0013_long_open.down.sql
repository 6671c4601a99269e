drop index raw_tickets_long_open;
