-- Promise 4 (custody) in SQLite: every VM and project is owned by an account, and an account that owns something stays.
-- A message `ringfence:RULE` is read by store/translation.py. Statements end at a line with two hyphens only.

CREATE TRIGGER vms_are_owned BEFORE INSERT ON vms
WHEN NOT EXISTS (SELECT 1 FROM accounts WHERE name = NEW.owner)
BEGIN
    SELECT RAISE(ABORT, 'ringfence:owner-unknown');
END
--
CREATE TRIGGER vms_stay_owned BEFORE UPDATE OF owner ON vms
WHEN NOT EXISTS (SELECT 1 FROM accounts WHERE name = NEW.owner)
BEGIN
    SELECT RAISE(ABORT, 'ringfence:owner-unknown');
END
--
CREATE TRIGGER projects_are_owned BEFORE INSERT ON projects
WHEN NOT EXISTS (SELECT 1 FROM accounts WHERE name = NEW.owner)
BEGIN
    SELECT RAISE(ABORT, 'ringfence:owner-unknown');
END
--
CREATE TRIGGER projects_stay_owned BEFORE UPDATE OF owner ON projects
WHEN NOT EXISTS (SELECT 1 FROM accounts WHERE name = NEW.owner)
BEGIN
    SELECT RAISE(ABORT, 'ringfence:owner-unknown');
END
--
CREATE TRIGGER accounts_that_own_stay BEFORE DELETE ON accounts
WHEN EXISTS (SELECT 1 FROM vms WHERE owner = OLD.name) OR EXISTS (SELECT 1 FROM projects WHERE owner = OLD.name)
BEGIN
    SELECT RAISE(ABORT, 'ringfence:account-owns');
END
--
CREATE TRIGGER accounts_keep_their_name BEFORE UPDATE ON accounts
WHEN NEW.id IS NOT OLD.id OR NEW.name IS NOT OLD.name OR NEW.kind IS NOT OLD.kind
BEGIN
    SELECT RAISE(ABORT, 'ringfence:account-name-never-changes');
END
--
-- INSERT OR REPLACE would change an account without an UPDATE.
CREATE TRIGGER accounts_are_never_replaced BEFORE INSERT ON accounts
WHEN EXISTS (SELECT 1 FROM accounts WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'ringfence:account-name-never-changes');
END
