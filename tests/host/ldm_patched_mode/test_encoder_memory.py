"""The image encoder in Forge Classic's account of what is on the device."""

from tests.host.forge_mode import test_encoder_memory as in_forge
from tests.host.ldm_patched_mode import test_extension

session, webui = test_extension.session, test_extension.webui
account, built = in_forge.account, in_forge.built
test_counted = in_forge.test_it_is_counted_while_it_runs_and_free_as_soon_as_it_is_let_go
test_moved = in_forge.test_one_that_stays_can_be_moved_off_and_comes_back_without_its_file
