-- Promise 4 (custody) in PostgreSQL: every VM and project is owned by an account, and an account that owns something
-- stays. Who becomes the owner of something and who removes the account wait for each other at the account's row.
-- A message `ringfence:RULE` is read by store/translation.py. Statements end at a line with two hyphens only.

CREATE FUNCTION keep_owned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM accounts WHERE name = NEW.owner FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'ringfence:owner-unknown';
    END IF;
    RETURN NEW;
END $$
--
CREATE TRIGGER vms_are_owned BEFORE INSERT ON vms FOR EACH ROW EXECUTE FUNCTION keep_owned()
--
CREATE TRIGGER vms_stay_owned BEFORE UPDATE OF owner ON vms FOR EACH ROW EXECUTE FUNCTION keep_owned()
--
CREATE TRIGGER projects_are_owned BEFORE INSERT ON projects FOR EACH ROW EXECUTE FUNCTION keep_owned()
--
CREATE TRIGGER projects_stay_owned BEFORE UPDATE OF owner ON projects FOR EACH ROW EXECUTE FUNCTION keep_owned()
--
CREATE FUNCTION keep_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM accounts WHERE id = OLD.id FOR UPDATE;
    IF EXISTS (SELECT 1 FROM vms WHERE owner = OLD.name) OR EXISTS (SELECT 1 FROM projects WHERE owner = OLD.name) THEN
        RAISE EXCEPTION 'ringfence:account-owns';
    END IF;
    RETURN OLD;
END $$
--
CREATE TRIGGER accounts_that_own_stay BEFORE DELETE ON accounts FOR EACH ROW EXECUTE FUNCTION keep_owner()
--
CREATE TRIGGER accounts_keep_their_name BEFORE UPDATE ON accounts FOR EACH ROW
WHEN (NEW.id <> OLD.id OR NEW.name <> OLD.name OR NEW.kind <> OLD.kind)
EXECUTE FUNCTION refuse_change('account-name-never-changes')
