-- Promise 2 (company) in SQLite. It has one writer at a time, so that what a trigger sees is all there is.
-- A message `ringfence:RULE` is read by store/translation.py. Statements end at a line with two hyphens only.

CREATE TRIGGER claims_keep_company BEFORE INSERT ON claims
BEGIN
    SELECT RAISE(ABORT, 'ringfence:claim-of-no-vm')
    WHERE NOT EXISTS (SELECT 1 FROM vms WHERE id = NEW.vm_id AND zone_id = NEW.zone_id);
    SELECT RAISE(ABORT, 'ringfence:host-not-ready')
    WHERE NOT EXISTS (SELECT 1 FROM hosts WHERE id = NEW.host_id AND state = 'ready');
    SELECT RAISE(ABORT, 'ringfence:zone-forbids')
    WHERE EXISTS (
        SELECT 1 FROM claims AS other
        WHERE other.host_id = NEW.host_id AND other.zone_id <> NEW.zone_id AND NOT EXISTS (
            SELECT 1 FROM zone_mixes
            WHERE zone_a = min(other.zone_id, NEW.zone_id) AND zone_b = max(other.zone_id, NEW.zone_id)
        )
    );
    SELECT RAISE(ABORT, 'ringfence:capacity-exceeded')
    WHERE EXISTS (
        SELECT 1 FROM hosts AS host,
            (SELECT coalesce(sum(vcpus), 0) AS vcpus, coalesce(sum(memory_mib), 0) AS memory_mib,
                    coalesce(sum(disk_bytes), 0) AS disk_bytes
             FROM claims WHERE host_id = NEW.host_id) AS taken
        WHERE host.id = NEW.host_id AND (
            taken.vcpus + NEW.vcpus > host.vcpus
            OR taken.memory_mib + NEW.memory_mib > host.memory_mib
            OR taken.disk_bytes + NEW.disk_bytes > host.disk_bytes
        )
    );
END
--
CREATE TRIGGER claims_never_change BEFORE UPDATE ON claims
BEGIN
    SELECT RAISE(ABORT, 'ringfence:claims-never-change');
END
--
CREATE TRIGGER zone_mixes_in_use_stay BEFORE DELETE ON zone_mixes
BEGIN
    SELECT RAISE(ABORT, 'ringfence:mix-in-use')
    WHERE EXISTS (
        SELECT 1 FROM claims AS one JOIN claims AS other ON other.host_id = one.host_id
        WHERE one.zone_id = OLD.zone_a AND other.zone_id = OLD.zone_b
    );
END
--
CREATE TRIGGER zone_mixes_never_change BEFORE UPDATE ON zone_mixes
BEGIN
    SELECT RAISE(ABORT, 'ringfence:mixes-never-change');
END
--
CREATE TRIGGER vms_keep_zone_and_project BEFORE UPDATE ON vms
WHEN NEW.id IS NOT OLD.id OR NEW.zone_id IS NOT OLD.zone_id OR NEW.project_id IS NOT OLD.project_id
BEGIN
    SELECT RAISE(ABORT, 'ringfence:vm-zone-and-project-never-change');
END
--
-- INSERT OR REPLACE would change a VM without an UPDATE.
CREATE TRIGGER vms_are_never_replaced BEFORE INSERT ON vms
WHEN EXISTS (SELECT 1 FROM vms WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'ringfence:vm-zone-and-project-never-change');
END
