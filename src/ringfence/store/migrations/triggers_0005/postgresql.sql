-- Quotas in PostgreSQL, under any isolation level. Racers write the quota's row first: at READ COMMITTED the second
-- waits there and then counts what the first took; at the higher levels PostgreSQL ends it (40001).
-- A message `ringfence:RULE` is read by store/translation.py. Statements end at a line with two hyphens only.

CREATE FUNCTION keep_vm_quota() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    quota quotas%ROWTYPE;
    used record;
BEGIN
    UPDATE quotas SET changes = changes + 1 WHERE project_id = NEW.project_id RETURNING * INTO quota;
    IF NOT FOUND THEN
        RETURN NEW;
    END IF;
    SELECT count(*) AS vms, coalesce(sum(vcpus), 0) AS vcpus, coalesce(sum(memory_mib), 0) AS memory_mib,
           coalesce(sum(disk_bytes), 0) AS disk_bytes
    INTO used FROM vms WHERE project_id = NEW.project_id AND id <> NEW.id;
    IF TG_OP = 'INSERT' THEN
        IF used.vms + 1 > quota.vms OR used.vcpus + NEW.vcpus > quota.vcpus
           OR used.memory_mib + NEW.memory_mib > quota.memory_mib
           OR used.disk_bytes + NEW.disk_bytes > quota.disk_bytes THEN
            RAISE EXCEPTION 'ringfence:quota-exceeded';
        END IF;
    ELSIF (NEW.vcpus > OLD.vcpus AND used.vcpus + NEW.vcpus > quota.vcpus)
          OR (NEW.memory_mib > OLD.memory_mib AND used.memory_mib + NEW.memory_mib > quota.memory_mib)
          OR (NEW.disk_bytes > OLD.disk_bytes AND used.disk_bytes + NEW.disk_bytes > quota.disk_bytes) THEN
        RAISE EXCEPTION 'ringfence:quota-exceeded';
    END IF;
    RETURN NEW;
END $$
--
CREATE TRIGGER vms_keep_their_quota BEFORE INSERT ON vms FOR EACH ROW EXECUTE FUNCTION keep_vm_quota()
--
CREATE TRIGGER vms_grow_within_their_quota BEFORE UPDATE OF vcpus, memory_mib, disk_bytes ON vms
FOR EACH ROW EXECUTE FUNCTION keep_vm_quota()
--
CREATE FUNCTION keep_port_quota() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    quota quotas%ROWTYPE;
BEGIN
    UPDATE quotas SET changes = changes + 1
    WHERE project_id = (SELECT project_id FROM vms WHERE id = NEW.vm_id) RETURNING * INTO quota;
    IF FOUND AND quota.ports < 1 + (
        SELECT count(*) FROM ports JOIN vms ON vms.id = ports.vm_id WHERE vms.project_id = quota.project_id
    ) THEN
        RAISE EXCEPTION 'ringfence:quota-exceeded';
    END IF;
    RETURN NEW;
END $$
--
CREATE TRIGGER ports_keep_their_quota BEFORE INSERT ON ports FOR EACH ROW EXECUTE FUNCTION keep_port_quota()
