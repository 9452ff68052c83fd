-- Quotas in SQLite. It has one writer at a time, so that what a trigger counts is all there is.
-- A message `ringfence:RULE` is read by store/translation.py. Statements end at a line with two hyphens only.

CREATE TRIGGER vms_keep_their_quota BEFORE INSERT ON vms
WHEN EXISTS (SELECT 1 FROM quotas WHERE project_id = NEW.project_id)
BEGIN
    SELECT RAISE(ABORT, 'ringfence:quota-exceeded')
    WHERE EXISTS (
        SELECT 1 FROM quotas,
            (SELECT count(*) AS vms, coalesce(sum(vcpus), 0) AS vcpus, coalesce(sum(memory_mib), 0) AS memory_mib,
                    coalesce(sum(disk_bytes), 0) AS disk_bytes
             FROM vms WHERE project_id = NEW.project_id) AS used
        WHERE quotas.project_id = NEW.project_id AND (
            used.vms + 1 > quotas.vms
            OR used.vcpus + NEW.vcpus > quotas.vcpus
            OR used.memory_mib + NEW.memory_mib > quotas.memory_mib
            OR used.disk_bytes + NEW.disk_bytes > quotas.disk_bytes
        )
    );
END
--
CREATE TRIGGER vms_grow_within_their_quota BEFORE UPDATE OF vcpus, memory_mib, disk_bytes ON vms
WHEN EXISTS (SELECT 1 FROM quotas WHERE project_id = NEW.project_id)
BEGIN
    SELECT RAISE(ABORT, 'ringfence:quota-exceeded')
    WHERE EXISTS (
        SELECT 1 FROM quotas,
            (SELECT coalesce(sum(vcpus), 0) AS vcpus, coalesce(sum(memory_mib), 0) AS memory_mib,
                    coalesce(sum(disk_bytes), 0) AS disk_bytes
             FROM vms WHERE project_id = NEW.project_id AND id <> NEW.id) AS others
        WHERE quotas.project_id = NEW.project_id AND (
            (NEW.vcpus > OLD.vcpus AND others.vcpus + NEW.vcpus > quotas.vcpus)
            OR (NEW.memory_mib > OLD.memory_mib AND others.memory_mib + NEW.memory_mib > quotas.memory_mib)
            OR (NEW.disk_bytes > OLD.disk_bytes AND others.disk_bytes + NEW.disk_bytes > quotas.disk_bytes)
        )
    );
END
--
CREATE TRIGGER ports_keep_their_quota BEFORE INSERT ON ports
BEGIN
    SELECT RAISE(ABORT, 'ringfence:quota-exceeded')
    WHERE EXISTS (
        SELECT 1 FROM quotas JOIN vms AS plugged ON plugged.project_id = quotas.project_id
        WHERE plugged.id = NEW.vm_id AND quotas.ports IS NOT NULL AND quotas.ports < 1 + (
            SELECT count(*) FROM ports JOIN vms ON vms.id = ports.vm_id WHERE vms.project_id = quotas.project_id
        )
    );
END
