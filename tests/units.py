"""The units that the extension's own table makes, under the short names that tests use."""

from lib_instantstyle.methods import TABLE

Unit = TABLE.unit_type
FIELDS = TABLE.fields
METHODS = tuple(TABLE.methods)
PAGE_FIELDS = TABLE.page_fields
PICTURES = PAGE_PICTURES = TABLE.pictures
parse_unit = TABLE.parse_unit
parse_arguments = TABLE.parse_arguments
given_units = TABLE.given_units
page_values = TABLE.page_values
