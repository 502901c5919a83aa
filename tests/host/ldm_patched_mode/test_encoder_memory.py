"""The image encoder in Forge Classic's account of what is on the device."""

from tests.host.forge_mode import encoder_memory as shared

account, built = shared.account, shared.built
test_counted = shared.it_is_counted_while_it_runs_and_free_as_soon_as_it_is_let_go
test_moved = shared.one_that_stays_can_be_moved_off_and_comes_back_without_its_file
