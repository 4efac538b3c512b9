// SPDX-License-Identifier: BSD-3-Clause
// Every public header of the core.
#pragma once

#include <foil/augmentation.h>
#include <foil/batch_norm.h>
#include <foil/cluster.h>
#include <foil/component.h>
#include <foil/dataset.h>
#include <foil/encoder.h>
#include <foil/error.h>
#include <foil/fields.h>
#include <foil/loss.h>
#include <foil/random.h>
#include <foil/ranks.h>
#include <foil/sample_log.h>
#include <foil/sampler.h>
#include <foil/view.h>
