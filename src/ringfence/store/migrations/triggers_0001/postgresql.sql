-- Promise 2 (company) in PostgreSQL, under any isolation level. Racers write the same row first: at READ COMMITTED the
-- second waits there and then sees the claim of the first; at the higher levels PostgreSQL ends it (40001).
-- Two claims of one host meet at the host's row; a claim and the removal of a mix meet at the zone's row.
-- A message `ringfence:RULE` is read by store/translation.py. Statements end at a line with two hyphens only.

CREATE FUNCTION keep_company() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    host hosts%ROWTYPE;
    taken record;
BEGIN
    UPDATE hosts SET claim_changes = claim_changes + 1 WHERE id = NEW.host_id RETURNING * INTO host;
    UPDATE zones SET claim_changes = claim_changes + 1 WHERE id = NEW.zone_id;
    IF NOT EXISTS (SELECT 1 FROM vms WHERE id = NEW.vm_id AND zone_id = NEW.zone_id) THEN
        RAISE EXCEPTION 'ringfence:claim-of-no-vm';
    END IF;
    IF host.state IS DISTINCT FROM 'ready' THEN
        RAISE EXCEPTION 'ringfence:host-not-ready';
    END IF;
    IF EXISTS (
        SELECT 1 FROM claims AS other
        WHERE other.host_id = NEW.host_id AND other.zone_id <> NEW.zone_id AND NOT EXISTS (
            SELECT 1 FROM zone_mixes
            WHERE zone_a = least(other.zone_id, NEW.zone_id) AND zone_b = greatest(other.zone_id, NEW.zone_id)
        )
    ) THEN
        RAISE EXCEPTION 'ringfence:zone-forbids';
    END IF;
    SELECT coalesce(sum(vcpus), 0) AS vcpus, coalesce(sum(memory_mib), 0) AS memory_mib,
           coalesce(sum(disk_bytes), 0) AS disk_bytes
    INTO taken FROM claims WHERE host_id = NEW.host_id;
    IF taken.vcpus + NEW.vcpus > host.vcpus OR taken.memory_mib + NEW.memory_mib > host.memory_mib
       OR taken.disk_bytes + NEW.disk_bytes > host.disk_bytes THEN
        RAISE EXCEPTION 'ringfence:capacity-exceeded';
    END IF;
    RETURN NEW;
END $$
--
CREATE TRIGGER claims_keep_company BEFORE INSERT ON claims FOR EACH ROW EXECUTE FUNCTION keep_company()
--
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ringfence:%', TG_ARGV[0];
END $$
--
CREATE TRIGGER claims_never_change BEFORE UPDATE ON claims
FOR EACH ROW EXECUTE FUNCTION refuse_change('claims-never-change')
--
CREATE TRIGGER claims_are_never_truncated BEFORE TRUNCATE ON claims
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('claims-never-change')
--
CREATE FUNCTION keep_mix_in_use() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE zones SET claim_changes = claim_changes + 1 WHERE id = OLD.zone_a;
    UPDATE zones SET claim_changes = claim_changes + 1 WHERE id = OLD.zone_b;
    IF EXISTS (
        SELECT 1 FROM claims AS one JOIN claims AS other ON other.host_id = one.host_id
        WHERE one.zone_id = OLD.zone_a AND other.zone_id = OLD.zone_b
    ) THEN
        RAISE EXCEPTION 'ringfence:mix-in-use';
    END IF;
    RETURN OLD;
END $$
--
CREATE TRIGGER zone_mixes_in_use_stay BEFORE DELETE ON zone_mixes FOR EACH ROW EXECUTE FUNCTION keep_mix_in_use()
--
CREATE TRIGGER zone_mixes_never_change BEFORE UPDATE ON zone_mixes
FOR EACH ROW EXECUTE FUNCTION refuse_change('mixes-never-change')
--
CREATE TRIGGER zone_mixes_are_never_truncated BEFORE TRUNCATE ON zone_mixes
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('mixes-never-change')
--
CREATE TRIGGER vms_keep_zone_and_project BEFORE UPDATE ON vms FOR EACH ROW
WHEN (NEW.id <> OLD.id OR NEW.zone_id <> OLD.zone_id OR NEW.project_id <> OLD.project_id)
EXECUTE FUNCTION refuse_change('vm-zone-and-project-never-change')
