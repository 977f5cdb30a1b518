from t0native.base.files import *
