"""Which organizations and projects have keys of their own at vendors, as the topic `config` has it. Pure."""

from schemas.codec import UndecodableRecord
from schemas.config_record import CONFIG, config_key, entity_of
from schemas.tenancy import VendorCredential

_KEY_PREFIX = config_key("vendor_credential", "")


class Credentials:
    def __init__(self) -> None:
        self._by_id: dict[str, VendorCredential] = {}
        self._of_organization: dict[str, tuple[VendorCredential, ...]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def apply(self, partition: int, key: str, value: bytes | None) -> None:
        """One record of the topic (`runtime.kafka.fenced_table`). Raises UndecodableRecord, and has then changed
        nothing."""
        if not key.startswith(_KEY_PREFIX):
            return
        credential = None if value is None else entity_of(CONFIG.decode(value))
        if credential is not None and not isinstance(credential, VendorCredential):
            raise UndecodableRecord("ConfigRecord: its key and its kind differ")
        credential_id = key.removeprefix(_KEY_PREFIX)
        touched = {each.organization_id for each in (self._by_id.pop(credential_id, None), credential) if each}
        if credential is not None:
            self._by_id[credential_id] = credential
        for organization_id in touched:
            self._list(organization_id)

    def _list(self, organization_id: str) -> None:
        mine = [each for each in self._by_id.values() if each.organization_id == organization_id]
        if not mine:
            self._of_organization.pop(organization_id, None)
            return
        # The later entry of a vendor wins in `find`: a project's before its organization's, and of several that say the
        # same the one with the lowest id, so that all workers take the same.
        mine.sort(key=lambda each: each.credential_id, reverse=True)
        mine.sort(key=lambda each: each.project_id is not None)
        self._of_organization[organization_id] = tuple(mine)

    def find(self, organization_id: str, project_id: str) -> dict[str, VendorCredential]:
        """By vendor."""
        found = self._of_organization.get(organization_id, ())
        return {each.vendor: each for each in found if each.project_id in (None, project_id)}
