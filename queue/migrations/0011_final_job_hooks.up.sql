-- Hooks: another schema's function is called in the transaction that makes a job final, so that
-- what it writes and the job's end commit together. The engine's tables stay the engine's alone: a
-- hook gets the arguments that are listed here, and never a row.

create function queue.call_final_hook() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('select %s($1, $2, $3, $4, $5, $6, $7)', tg_argv[0])
    using new.id, new.tenant_id, new.kind, new.state::text, new.finalized_at,
        case when new.state = 'completed' then new.output end,
        case when new.state <> 'completed' then new.errors -> -1 end;
    return null;
end
$$;

comment on function queue.call_final_hook() is
    'Calls the hook that the trigger names, with what queue.add_final_hook lists';

-- A trigger for each hook rather than a table of hooks: its condition is all that jobs of other
-- kinds pay.
create function queue.add_final_hook(kind_prefix text, hook regproc) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if to_regprocedure(hook || '(uuid, uuid, text, text, timestamptz, jsonb, jsonb)') is null then
        raise exception '% does not take the arguments of a hook', hook
            using hint = 'declare it with (job uuid, tenant uuid, kind text, state text, '
                'finalized_at timestamptz, output jsonb, error jsonb)';
    end if;
    execute format(
        $trigger$
            create trigger %I after update of state on queue.jobs
            for each row when (
                new.state in ('completed', 'cancelled', 'discarded') and new.state <> old.state and new.kind ^@ %L)
            execute function queue.call_final_hook(%L)
        $trigger$,
        'final_hook ' || hook, kind_prefix, hook);
end
$$;

comment on function queue.add_final_hook(text, regproc) is
    'Adds a hook: a function that is called whenever a job becomes final whose kind begins with the '
    'prefix, in the transaction that makes it so. It is called as hook(job uuid, tenant uuid, kind '
    'text, state text, finalized_at timestamptz, output jsonb, error jsonb), with a search_path of '
    'pg_catalog, and its result is ignored. The state is completed, cancelled or discarded; the '
    'output is what the handler returned, and null unless the job completed; the error is the last '
    'of the job''s failed attempts as {"attempt", "at", "code", "message", "retry_at"}, and null '
    'where none failed or the job completed. A hook that fails keeps its jobs from ending. A function '
    'is a hook of one prefix, and is removed as a hook before it is dropped';

create function queue.remove_final_hook(hook regproc) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('drop trigger %I on queue.jobs', 'final_hook ' || hook);
end
$$;

comment on function queue.remove_final_hook(regproc) is
    'Takes a hook away that queue.add_final_hook added';
