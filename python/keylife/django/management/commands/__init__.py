# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0
