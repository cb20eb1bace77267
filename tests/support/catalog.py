"""What the database's own catalog says about the walls between tenants."""

import asyncpg

TENANT_RULE = "(tenant_id = ( SELECT (current_setting('app.current_tenant_id'::text))::uuid AS current_setting))"
LOGIN_ROLES = ("aiops_app", "aiops_intake", "aiops_sweeper")

# Reviewed: tables of people and workers, who belong to no tenant, and the migration runner's own.
WITHOUT_TENANT = {
    "app_user",
    "web_session",
    "password_reset",
    "second_factor",
    "recovery_code",
    "api_token",
    "worker",
    "llm_provider",
    "migration",
}
# Reviewed: what is written by a function of the owner only, and never changed.
APPEND_ONLY = {"audit_entry", "audit_head"}
# Reviewed: indexes and foreign keys that do not start with tenant_id. The look-up by a 128-bit random address comes
# before a tenant is known; slugs are unique in the installation, and only its operator makes tenants.
FREE_INDEXES = {"endpoint_by_id", "invitation_by_token", "tenant_slug_key"}
FREE_FOREIGN_KEYS = {"membership_user_id_fkey"}
# Reviewed: policies beside the tenant's, as (table, role, command).
READERS = {
    ("tenant", "aiops_owner", "r"),
    ("endpoint", "aiops_owner", "r"),
    ("membership", "aiops_owner", "r"),
    ("tenant", "aiops_sweeper", "r"),
    ("connection", "aiops_sweeper", "r"),
    ("delivery", "aiops_sweeper", "r"),
    ("effect", "aiops_sweeper", "r"),
    ("probe", "aiops_sweeper", "r"),
    ("invitation", "aiops_owner", "r"),
    ("app_user", "aiops_owner", "*"),
    ("password_reset", "aiops_owner", "*"),
    ("second_factor", "aiops_owner", "*"),
    ("recovery_code", "aiops_owner", "*"),
    ("api_token", "aiops_owner", "*"),
    ("web_session", "aiops_owner", "*"),
    ("worker", "aiops_owner", "*"),
    ("llm_provider", "aiops_owner", "*"),
    ("audit_head", "aiops_owner", "r"),
}
# Reviewed: functions that run with their owner's rights, and who may execute them.
DEFINERS = {
    "intake_endpoint": {"aiops_intake"},
    "accept_deliveries": {"aiops_intake"},
    "record_refusals": {"aiops_intake"},
    "note_secret_use": {"aiops_intake"},
    "login_candidate": {"aiops_app"},
    "login_failed": {"aiops_app"},
    "session_open": {"aiops_app"},
    "session_find": {"aiops_app"},
    "session_close": {"aiops_app"},
    "user_put": {"aiops_app"},
    "tenant_directory": {"aiops_app"},
    "person_find": {"aiops_app"},
    "session_list": {"aiops_app"},
    "session_end": {"aiops_app"},
    "token_put": {"aiops_app"},
    "token_find": {"aiops_app"},
    "token_list": {"aiops_app"},
    "token_drop": {"aiops_app"},
    "factor_begin": {"aiops_app"},
    "factor_find": {"aiops_app"},
    "factor_step": {"aiops_app"},
    "recovery_put": {"aiops_app"},
    "recovery_use": {"aiops_app"},
    "factor_remove": {"aiops_app"},
    "factors_by_key": {"aiops_app"},
    "factors_to_reseal": {"aiops_app"},
    "factor_reseal": {"aiops_app"},
    "oidc_person": {"aiops_app"},
    "person_make": {"aiops_app"},
    "person_change": {"aiops_app"},
    "member_change": {"aiops_app"},
    "member_directory": {"aiops_app"},
    "person_directory": {"aiops_app"},
    "invitation_look": {"aiops_app"},
    "invitation_accept": {"aiops_app"},
    "invitations_of": {"aiops_app"},
    "reset_open": {"aiops_app"},
    "reset_look": {"aiops_app"},
    "reset_take": {"aiops_app"},
    "sessions_end": set(),
    "worker_beat": {"aiops_sweeper"},
    "worker_directory": {"aiops_app"},
    "provider_directory": {"aiops_app"},
    "provider_put": {"aiops_app"},
    "provider_remove": {"aiops_app"},
    "audit_append": {"aiops_app"},
    "audit_chains": {"aiops_app"},
}
SEARCH_PATH = "search_path=pg_catalog, public, pg_temp"
# Reviewed: what the sweeper may read of rows it has no tenant for.
SWEEPER_COLUMNS = {
    "tenant_id",
    "delivery_id",
    "effect_id",
    "probe_id",
    "asked_at",
    "connection_id",
    "state",
    "received_at",
    "planned_at",
    "due_at",
    "lease_until",
    "reconcile_at",
    "crashes",
    "wait_until",
}


async def offences(con: asyncpg.Connection) -> list[str]:
    """Return every way in which the schema ``public`` is weaker than promised, one sentence each."""
    found: list[str] = []
    for check in (_relations, _policies, _indexes, _foreign_keys, _functions, _grants, _roles):
        found += await check(con)
    return found


async def _relations(con: asyncpg.Connection) -> list[str]:
    rows = await con.fetch(
        """
        select c.relname, c.relkind::text as kind, c.relrowsecurity as enabled, c.relforcerowsecurity as forced,
               coalesce('security_invoker=true' = any(c.reloptions), false) as invoker,
               (select a.attnotnull from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id') as scoped,
               pg_get_userbyid(c.relowner)::text as owner
        from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
        """
    )
    found = []
    for row in rows:
        name = row["relname"]
        if row["owner"] != "aiops_owner":
            found.append(f"{name} belongs to {row['owner']}")
        if row["kind"] in ("m", "f"):
            found.append(f"{name} is a materialised view or a foreign table")
        elif row["kind"] == "v" and not row["invoker"]:
            found.append(f"view {name} runs with its owner's rights")
        elif row["kind"] in ("r", "p") and name != "migration":
            if not (row["enabled"] and row["forced"]):
                found.append(f"{name} lacks row-level security, enabled and forced")
            if not row["scoped"] and name not in WITHOUT_TENANT:
                found.append(f"{name} has no tenant_id that is not null")
    return found


async def _policies(con: asyncpg.Connection) -> list[str]:
    rows = await con.fetch(
        """
        select c.relname, p.polname, p.polcmd::text as command, p.polpermissive as permissive,
               pg_get_expr(p.polqual, p.polrelid) as using, pg_get_expr(p.polwithcheck, p.polrelid) as checked,
               array(select case when r = 0 then 'public' else pg_get_userbyid(r)::text end
                     from unnest(p.polroles) r) as roles
        from pg_policy p join pg_class c on c.oid = p.polrelid
        """
    )
    found = []
    guarded = set()
    for row in rows:
        where = f"policy {row['polname']} of {row['relname']}"
        if set(row["roles"]) == {"aiops_app", "aiops_owner"} and row["command"] == "*":
            guarded.add(row["relname"])
            if row["using"] != TENANT_RULE or row["checked"] != TENANT_RULE:
                found.append(f"{where} is not the tenant rule in both USING and WITH CHECK")
            continue
        for role in row["roles"]:
            if (row["relname"], role, row["command"]) not in READERS:
                found.append(f"{where} lets {role} in without review")
    tables = await con.fetch(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')"
    )
    missing = {t["relname"] for t in tables} - WITHOUT_TENANT - guarded
    return found + [f"{name} has no tenant policy" for name in sorted(missing)]


async def _indexes(con: asyncpg.Connection) -> list[str]:
    rows = await con.fetch(
        """
        select c.relname as index, t.relname as table, a.attname as first
        from pg_index i join pg_class c on c.oid = i.indexrelid join pg_class t on t.oid = i.indrelid
        left join pg_attribute a on a.attrelid = t.oid and a.attnum = i.indkey[0]
        where t.relnamespace = 'public'::regnamespace
        """
    )
    return [
        f"index {row['index']} of {row['table']} does not start with tenant_id"
        for row in rows
        if row["table"] not in WITHOUT_TENANT and row["first"] != "tenant_id" and row["index"] not in FREE_INDEXES
    ]


async def _foreign_keys(con: asyncpg.Connection) -> list[str]:
    rows = await con.fetch(
        """
        select k.conname, t.relname as table,
               (select attname from pg_attribute where attrelid = k.conrelid and attnum = k.conkey[1]) as first,
               (select attname from pg_attribute where attrelid = k.confrelid and attnum = k.confkey[1]) as target
        from pg_constraint k join pg_class t on t.oid = k.conrelid
        where k.contype = 'f' and t.relnamespace = 'public'::regnamespace
        """
    )
    return [
        f"foreign key {row['conname']} of {row['table']} does not lead with tenant_id"
        for row in rows
        if row["table"] not in WITHOUT_TENANT
        and (row["first"], row["target"]) != ("tenant_id", "tenant_id")
        and row["conname"] not in FREE_FOREIGN_KEYS
    ]


async def _functions(con: asyncpg.Connection) -> list[str]:
    rows = await con.fetch(
        """
        select p.proname, p.prosecdef as definer, coalesce(p.proconfig, '{}') as config,
               pg_get_userbyid(p.proowner)::text as owner,
               array(select case when x.grantee = 0 then 'public' else pg_get_userbyid(x.grantee)::text end
                     from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
                     where x.grantee <> p.proowner) as callers
        from pg_proc p where p.pronamespace = 'public'::regnamespace
        """
    )
    found = []
    for row in rows:
        name, callers = row["proname"], set(row["callers"])
        if "public" in callers:
            found.append(f"everybody may execute {name}")
        if row["owner"] != "aiops_owner":
            found.append(f"function {name} belongs to {row['owner']}")
        if not row["definer"]:
            continue
        if name not in DEFINERS or callers != DEFINERS[name]:
            found.append(f"{name} runs with its owner's rights for {sorted(callers)} without review")
        if SEARCH_PATH not in row["config"]:
            found.append(f"{name} does not pin its search path")
    return found


async def _grants(con: asyncpg.Connection) -> list[str]:
    tables = await con.fetch(
        """
        select c.relname, case when x.grantee = 0 then 'public' else pg_get_userbyid(x.grantee)::text end as who,
               x.privilege_type as what
        from pg_class c cross join lateral aclexplode(c.relacl) x
        where c.relnamespace = 'public'::regnamespace and x.grantee <> c.relowner
        """
    )
    allowed = {"aiops_app": {"SELECT", "INSERT", "UPDATE", "DELETE", "USAGE"}}
    found = [
        f"{row['who']} has {row['what']} on {row['relname']}"
        for row in tables
        if row["what"] not in allowed.get(row["who"], set())
        or row["relname"] in WITHOUT_TENANT
        or (row["relname"] in APPEND_ONLY and row["what"] != "SELECT")
    ]
    columns = await con.fetch(
        """
        select c.relname, a.attname, case when x.grantee = 0 then 'public' else pg_get_userbyid(x.grantee)::text end
               as who, x.privilege_type as what
        from pg_attribute a join pg_class c on c.oid = a.attrelid cross join lateral aclexplode(a.attacl) x
        where c.relnamespace = 'public'::regnamespace
        """
    )
    found += [
        f"{row['who']} has {row['what']} on {row['relname']}.{row['attname']}"
        for row in columns
        if (row["who"], row["what"]) != ("aiops_sweeper", "SELECT") or row["attname"] not in SWEEPER_COLUMNS
    ]
    schema = await con.fetch(
        """
        select case when x.grantee = 0 then 'public' else pg_get_userbyid(x.grantee)::text end as who,
               x.privilege_type as what
        from pg_namespace n cross join lateral aclexplode(n.nspacl) x where n.nspname = 'public'
        """
    )
    return found + [
        f"{row['who']} has {row['what']} on the schema"
        for row in schema
        if row["who"] == "public" or (row["who"] in LOGIN_ROLES and row["what"] != "USAGE")
    ]


async def _roles(con: asyncpg.Connection) -> list[str]:
    rows = await con.fetch(
        """
        select r.rolname::text as name,
               r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb or r.rolreplication as mighty,
               exists(select 1 from pg_auth_members m where m.member = r.oid) as member,
               exists(select 1 from pg_class c where c.relowner = r.oid) as owns
        from pg_roles r where r.rolname = any($1::text[])
        """,
        list(LOGIN_ROLES),
    )
    found = []
    for row in rows:
        if row["mighty"]:
            found.append(f"{row['name']} has rights beyond logging in")
        if row["member"]:
            found.append(f"{row['name']} is a member of another role")
        if row["owns"]:
            found.append(f"{row['name']} owns relations")
    return found
